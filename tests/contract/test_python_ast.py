import ast
import threading

from rewardsmith.contract import python_ast

SOURCE = "def reward(after):\n    return {'up': " + "+".join(f"(after.x * {i})" for i in range(200)) + "}\n"


def test_threads_may_parse_at_once():
    expected, failures = ast.dump(ast.parse(SOURCE)), []

    def work():
        for _ in range(20):
            try:
                if ast.dump(python_ast.parse_module(SOURCE)) != expected:
                    failures.append("another tree")
            except SystemError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_expression_is_one_expression():
    assert isinstance(python_ast.parse_expression("1 + x"), ast.BinOp)
