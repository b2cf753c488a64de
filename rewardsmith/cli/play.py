"""`rewardsmith play`: a trained policy in a window, or filmed where there is no screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardsmith.cli.console import print_error, print_line
from rewardsmith.cli.options import PolicyOption, RunArgument, TrustRunOption
from rewardsmith.cli.runs import choose_default_owner, confirm_run, open_run

if TYPE_CHECKING:
    from rewardsmith.report.export.trained_policy import TrainedPolicy
    from rewardsmith.search.storage import Run


def play(
    run: RunArgument,
    candidate: PolicyOption = None,
    trust: TrustRunOption = False,
) -> None:
    """Show RUN's policy in a window until it is closed: in MuJoCo's viewer, or the environment's own.

    Without a screen it is filmed, as `rewardsmith video` does.
    """
    from rewardsmith.contract.text import format_number
    from rewardsmith.executors import viewer
    from rewardsmith.executors.render_job import render_job_for_episode
    from rewardsmith.report.export.trained_policy import choose_policy
    from rewardsmith.search import trusted_runs

    opened = open_run(run)
    policy = choose_policy(opened, candidate or choose_default_owner(opened))
    confirm_run(opened, trust, executor_is_given=True)
    trusted_runs.check_trusted(opened, executor_is_given=True)
    recorded = policy.episodes[0]
    job = render_job_for_episode(policy.owner, recorded.folder, recorded.episode.seed)
    print_line(f"{policy.owner}, training seed {policy.seed}: fitness {format_number(policy.fitness)}")
    try:
        viewer.show_policy(job, trusted_runs.find_module_folder(opened))
    except viewer.NoWindow as error:
        print_error(f"{error}; filming it instead")
        _film(opened, policy)


def _film(run: Run, policy: TrainedPolicy) -> None:
    """Film the policy's first evaluated episode, and say where the video is."""
    from rewardsmith.report import video as videos

    episodes = videos.list_episodes(run, policy.owner)
    clip = videos.render_video(run, policy.owner, episodes.index(policy.episodes[0]))
    print_line(f"{clip.file}")
