"""`rewardsmith push`: a finished run's program, policy, film and figures on the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from rewardsmith.cli.console import print_error, print_line
from rewardsmith.cli.options import RunArgument, TrustRunOption
from rewardsmith.cli.runs import confirm_run


def push(
    run: RunArgument,
    repo: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="The repository. [default: yours, rewardsmith-<task>]"),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    film: Annotated[bool, typer.Option("--film/--no-film", help="Film the policy.")] = True,
    trust: TrustRunOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the files and the card to RUN/hub; send nothing.")
    ] = False,
) -> None:
    """Push RUN's best program to the Hugging Face Hub: a card with the figures, the program, a policy, a film.

    Settings, journal and the model's answers stay here. The Hub's own client finds your token (hf auth login).
    """
    from rewardsmith.report.hub.package import build_package
    from rewardsmith.report.hub.remote import push_package
    from rewardsmith.search.library import slugify
    from rewardsmith.search.storage import Run

    opened = Run.open(run)
    confirm_run(opened, trust, executor_is_given=True)
    repository = repo or f"rewardsmith-{slugify(opened.task.name)}"
    package = build_package(opened, print_error, film)
    if dry_run:
        for name in package.files:
            print_line(f"{package.folder / name}")
        print_line(f"Dry run: nothing was sent to {repository}.")
        return
    print_line(push_package(package, repository, private, f"{opened.task.heading} ({opened.task.env.env_id})"))
