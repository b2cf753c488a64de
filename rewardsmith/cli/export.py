"""`rewardsmith export`: the best program, or its policy, as a file that does not need rewardsmith."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_line
from rewardsmith.cli.options import RunArgument
from rewardsmith.cli.runs import choose_default_owner, open_run

if TYPE_CHECKING:
    from rewardsmith.contract.records.job_results import PolicyFormat
    from rewardsmith.search.storage import Run


def export(
    run: RunArgument,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Write the trained policy, with its normalisation inside, in place of the program: onnx, sb3 or "
            "torchscript."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write. [default: reward.py; policy.onnx, policy.zip or policy.pt]"),
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(help="A candidate's id; of a policy also final, environment-reward. [default: the best]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Write the program even if it does more than compute on arrays.")
    ] = False,
) -> None:
    """Write RUN's best program with a Gymnasium wrapper, importable without rewardsmith; or its trained policy.

    The seal ends with the file: the program runs with the rights of whoever runs it. A policy is numbers alone.
    """
    from rewardsmith.api import exports
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.report.export.exporter import describe_rights, spell_make_call
    from rewardsmith.report.result_lines import describe_fitness

    opened = open_run(run)
    if policy is not None:
        if unsafe:
            raise ConfigError("--unsafe is for programs; a policy is numbers alone")
        export_policy(opened, _parse_format(policy), out, candidate, force)
        return
    chosen, out = exports.find_candidate(opened, candidate or exports.BEST), out or Path("reward.py")
    _refuse_existing(out, force)
    out.write_text(exports.export_candidate(opened, chosen.id, unsafe), encoding="utf-8")
    print_line(f"{out}: candidate {chosen.id}, fitness {describe_fitness(chosen, opened.read_result())}")
    print_line(
        f"use it with: from {out.stem} import RewardWrapper; env = RewardWrapper({spell_make_call(opened.task.env)})"
    )
    print_line(describe_rights(unsafe))


def export_policy(run: Run, form: PolicyFormat, out: Path | None, owner: str | None, force: bool) -> None:
    """Write a trained policy, and print the lines that run it.

    Args:
        run: the run.
        form: of the file.
        out: the file; None names it after the format.
        owner: whose policy; None takes that of the best program, retrained if it was.
        force: overwrite an existing file.
    """
    from rewardsmith.contract.observation import describe_observation
    from rewardsmith.contract.text import format_number, pluralize
    from rewardsmith.report.export import trained_policy
    from rewardsmith.search import setup, trusted_runs

    out = out or Path(f"policy{trained_policy.SUFFIXES[form]}")
    _refuse_existing(out, force)
    policy = trained_policy.choose_policy(run, owner or choose_default_owner(run))
    trusted_runs.check_trusted(run, executor_is_given=True)
    with setup.open_local_worker(run) as executor:
        written = trained_policy.write_policy(policy, form, out, executor)

    others = f", the best of {pluralize(policy.others + 1, 'seed')}" if policy.others else ""
    print_line(f"{out}: {policy.owner}, training seed {policy.seed}{others}: fitness {format_number(policy.fitness)}")
    size = pluralize(written.obs_dim, "number")
    print_line(f"it observes {describe_observation(written.observation)} ({size}); five lines run it:\n")
    for line in trained_policy.spell_use(policy, form, out):
        print_line(f"    {line}")
    if written.observation:
        print_line("\nobs: the values of these signals, one after the other; the file says where each is read")


def _parse_format(text: str) -> PolicyFormat:
    """Read the format of a policy's file.

    Raises:
        ConfigError: if there is no such format.
    """
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.report.export.trained_policy import SUFFIXES

    for form in SUFFIXES:
        if text == form:
            return form
    raise ConfigError(f"--policy {text!r}: a policy is written as {', '.join(SUFFIXES)}")


def _refuse_existing(out: Path, force: bool) -> None:
    """Refuse to overwrite a file.

    Raises:
        RunError: if it exists, and `force` is not set.
    """
    from rewardsmith.contract.errors import RunError

    if out.exists() and not force:
        raise RunError(f"{out} exists; --force overwrites it, --out names another file")
