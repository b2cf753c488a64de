"""`rewardsmith ablate`: which terms of a program earn the fitness."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line
from rewardsmith.cli.options import (
    DryRunOption,
    ExecutorOption,
    JobsOption,
    JsonLinesOption,
    RunArgument,
    TrustRunOption,
    drop_unset,
    parse_executor,
)
from rewardsmith.cli.runs import confirm_run, open_run_view, say_how_to_continue
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.api.ablation import AblatedTerm, Ablation, AblationPlan
    from rewardsmith.search.storage import Run


def ablate(
    run: RunArgument,
    candidate: Annotated[str | None, typer.Option(help="A candidate's id. [default: the best]")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Training seeds of each program. [default: those of the run's report, at least 3]"),
    ] = None,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    trust: TrustRunOption = False,
    dry_run: DryRunOption = False,
    json_: JsonLinesOption = False,
) -> None:
    """Train RUN's best program without each of its terms, and compare it with the complete program.

    All programs are trained on the same fresh seeds. A second call continues an interrupted one; with more seeds it
    trains only what is missing.
    """
    from rewardsmith.api import ablation
    from rewardsmith.contract import records
    from rewardsmith.search.storage import Run

    opened = Run.open(run, drop_unset({"jobs": jobs}), parse_executor(executor))
    plan = ablation.plan_ablation(opened, candidate, seeds)
    if dry_run:
        _show_plan(opened, plan, json_)
        return

    confirm_run(opened, trust)
    with say_how_to_continue("The same command continues it."), open_run_view(opened, json_) as callback:
        outcome = ablation.run_ablation(opened, plan, callback)
    if json_:
        verdicts = {term.term: term.verdict for term in outcome.terms}
        print_json({"event": "ablation", **records.dump(outcome), "verdicts": verdicts})
    else:
        _print_outcome(outcome, plan)


def _show_plan(run: Run, plan: AblationPlan, json_: bool) -> None:
    """Show what an ablation would train, and how long that takes."""
    from rewardsmith.api.speed import describe_time
    from rewardsmith.executors import slots_for

    terms = [term for term in plan.programs if term is not None]
    trainings = len(plan.programs) * len(plan.seeds)
    if json_:
        sizes = {"trainings": trainings, "missing": plan.missing, "env_steps": plan.missing * plan.env_steps}
        print_json({"candidate": plan.candidate.id, "terms": terms, "seeds": list(plan.seeds), **sizes})
        return

    slots = slots_for(run.config)
    steps = pluralize(plan.env_steps, "environment step")
    print_line(f"Program    {plan.candidate.id} of {run.path}, complete and without each of: {', '.join(terms)}")
    if plan.unweighted_terms:
        print_line(f"           not left out, as they have the weight 0 or a limit: {', '.join(plan.unweighted_terms)}")
    seeds = pluralize(len(plan.seeds), "fresh seed")
    print_line(f"Trainings  {len(plan.programs)} programs × {seeds} = {trainings}, each of {steps}")
    print_line(f"           {plan.missing} to do, {trainings - plan.missing} done, {slots} at the same time")
    print_line(f"Time       {describe_time(plan.missing, plan.env_steps, slots, plan.speed)}")
    print_line("Dry run: no training.")


def _print_outcome(outcome: Ablation, plan: AblationPlan) -> None:
    """Print a row for the complete program, and one for each term that was left out."""
    from rewardsmith.report.result_lines import format_estimate
    from rewardsmith.report.tables import TableColumn, make_console, print_table

    columns = [
        TableColumn("without"),
        TableColumn("weight", right=True, drop=2),
        TableColumn("fitness", right=True, drop=1),
        TableColumn("what the term earns", right=True),
        TableColumn("verdict"),
    ]
    complete = format_estimate(outcome.complete) if outcome.complete else "–"
    rows = [["– (complete)", "", complete, "", ""]]
    for term in outcome.terms:
        fitness = format_estimate(term.fitness) if term.fitness else "–"
        rows.append([term.term, format_number(term.weight, 3), fitness, _format_difference(term), term.verdict])
    print_table(columns, rows, make_console(sys.stdout))

    # How to read it.
    seeds, steps = pluralize(len(outcome.seeds), "fresh seed"), pluralize(outcome.env_steps, "environment step")
    print_line(f"\nfitness = {outcome.fitness}")
    print_line(f"Each program trained on the same {seeds}, {steps} each; mean [95 % interval].")
    print_line("What a term earns: the complete program's fitness minus that without it [95 %, Welch].")
    print_line("About one in 20 such intervals excludes 0 by chance alone; --seeds N adds seeds.")
    for name in plan.unweighted_terms:
        print_line(f"{name} has the weight 0 or a limit and was not left out.")


def _format_difference(term: AblatedTerm) -> str:
    if term.difference is None:
        return "–"
    if term.low is None or term.high is None:
        return format_number(term.difference, 3)
    return f"{format_number(term.difference, 3)} [{format_number(term.low, 3)}, {format_number(term.high, 3)}]"
