"""Options and arguments that several verbs share, with their completion in the shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# ---------------------------------------------------------------- completion


def complete_env(incomplete: str) -> list[str]:
    """Return the names of the shipped tasks that begin with a text."""
    from rewardsmith.contract.package_data import find_data_folder

    names = {path.stem for path in find_data_folder("envs").rglob("*.toml")}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_preset(incomplete: str) -> list[str]:
    """Return the names of the presets that begin with a text."""
    from rewardsmith.spec.presets import list_preset_names

    return [name for name in list_preset_names() if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """Return the run directories, and the folders that may hold some, whose paths begin with a text."""
    folders = [path for pattern in (f"{incomplete}*", f"runs/{incomplete}*") for path in sorted(Path().glob(pattern))]
    return list(dict.fromkeys(str(path) for path in folders if path.is_dir()))


# ---------------------------------------------------------------- arguments

RunArgument = Annotated[Path, typer.Argument(help="The run directory.", autocompletion=complete_run)]
_ENV = typer.Option(
    "--env",
    help="A Gymnasium id, the name of a task (see `rewardsmith envs`) or the file of a task card.",
    autocompletion=complete_env,
)
EnvOption = Annotated[str, _ENV]
OptionalEnvOption = Annotated[str | None, _ENV]

# ---------------------------------------------------------------- options

RobotOption = Annotated[
    str | None,
    typer.Option(
        "--robot",
        metavar="FILE",
        help="A robot in place of an environment: its MJCF or URDF file, menagerie:NAME, or one of ours "
        "(quadruped, biped, arm, hand).",
    ),
]
ActionOption = Annotated[
    str | None,
    typer.Option(
        "--action", help="What a robot's actions are: torque, position, delta. [default: as its actuators are]"
    ),
]
EnvKwargsOption = Annotated[
    str | None,
    typer.Option("--env-kwargs", metavar="JSON", help="Keyword arguments of the environment: '{\"difficulty\": 3}'."),
]
PassEnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pass-env", metavar="NAME", help="An environment variable that reaches the environment. May be given twice."
    ),
]
SignalOption = Annotated[
    list[str] | None,
    typer.Option(
        "--signal",
        metavar="TOML",
        help="A learned signal, as in a card: 'reached = { provider = \"subgoals\" }'. May be given twice.",
    ),
]

DemoOption = Annotated[
    list[str] | None,
    typer.Option(
        "--demo",
        metavar="FILE",
        help="Recorded episodes: programs get the signal `progress`, how far a state is along them. May be given "
        "twice.",
    ),
]

PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--candidate",
        help="A candidate's id, or final, environment-reward. [default: the best program, retrained if it was]",
    ),
]
FitnessOption = Annotated[
    str | None, typer.Option("--fitness", help="How success is measured. [default: as in the task card]")
]
StepsOption = Annotated[
    int | None, typer.Option("--steps", help="Environment steps per training. [default: as in the task card]")
]
JobsOption = Annotated[int | None, typer.Option("--jobs", help="Trainings at the same time. [default: one per core]")]
SandboxOption = Annotated[
    str | None, typer.Option("--sandbox", help="Where programs run: local, docker, auto. [default: auto]")
]
TrainerOption = Annotated[
    str | None, typer.Option("--trainer", help="How policies learn: fast or sb3 (PPO), sac, td3. [default: fast]")
]
TrainerConfigOption = Annotated[
    Path | None, typer.Option("--trainer-config", help="Tuned settings of the training: an rl-zoo3 YAML file.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: training.n_envs=16")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="The run directory. [default: runs/<time>-<env>]")]
ExecutorOption = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="Where jobs run: local, slurm, ray, or ray:HOST:PORT for an existing cluster. [default: as configured]",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-endpoint",
        help="Send the API key to the endpoint that the run names, from now on, although it is not known on this "
        "machine.",
    ),
]
TrustRunOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Do what a run that was not started on this machine asks for: import its environment's module, use its "
        "cluster, send the API key to its endpoint.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan; run nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Take the fitness of --fitness auto without asking.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")]


# ---------------------------------------------------------------- reading options


def select_env(env: str | None, robot: str | None, action: str | None) -> tuple[str, dict[str, Any]]:
    """Return the environment that an environment's name and `--robot` say, and the arguments of `--action`.

    >>> select_env(None, "go1.xml", "torque")
    ('go1.xml', {'action': 'torque'})

    Raises:
        ConfigError: if none or both are given, `--robot` names no robot, or `--action` is given without a robot.
    """
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.robots import find_robot_files, names_robot

    chosen = env or robot
    if chosen is None or (env and robot):
        both = "both are" if chosen else "neither is"
        raise ConfigError(f"name an environment or a robot (--robot FILE), one of the two; {both} given")
    if robot is not None and not names_robot(robot):
        find_robot_files(robot, Path())  # which says what a robot's name is
    if action is not None and not names_robot(chosen) and not chosen.endswith(".toml"):
        raise ConfigError("--action belongs to a robot (--robot FILE), or to a robot's task card")
    return chosen, {} if action is None else {"action": action}


def parse_executor(text: str | None) -> dict[str, Any]:
    """Return `--executor` as a layer of configuration.

    >>> parse_executor("ray:10.0.0.1:6379")
    {'executor': {'kind': 'ray', 'address': '10.0.0.1:6379'}}

    Raises:
        ConfigError: if what follows the colon is no address.
    """
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.addresses import is_host_and_port

    if text is None:
        return {}
    kind, colon, address = text.partition(":")
    if colon and not is_host_and_port(address) and address != "auto":
        raise ConfigError(
            f"--executor {text}: write ray:HOST:PORT, the address of a cluster, such as ray:10.0.0.1:6379"
        )
    return {"executor": {"kind": kind, "address": address} if address else {"kind": kind}}


def parse_models(names: Sequence[str]) -> dict[str, Any]:
    """Return the llm settings for `--model`, each value a name for all roles or ROLE=NAME.

    >>> parse_models(["small", "critic=large"])
    {'model': 'small', 'roles': {'critic': {'model': 'large'}}}

    Raises:
        ConfigError: if there is no such role, one is named twice, or a name is empty.
    """
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.settings import ROLES

    settings: dict[str, Any] = {}
    for name in names:
        role, equals, role_model = name.partition("=")
        if not name.strip() or (equals and not (role.strip() and role_model.strip())):
            raise ConfigError(f"--model {name!r}: the name is empty; write --model NAME, or --model ROLE=NAME")
        is_role = bool(equals) and role in ROLES
        if equals and role.isidentifier() and not is_role:
            raise ConfigError(f"--model {name}: there is no role {role!r}; the roles are {', '.join(ROLES)}")
        section = settings.setdefault("roles", {}).setdefault(role, {}) if is_role else settings
        if "model" in section:
            raise ConfigError(f"--model {name}: {role if is_role else 'the model'} is named twice")
        section["model"] = role_model if is_role else name
    return settings


def drop_unset(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that the user gave, without empty sections.

    >>> drop_unset({"search": {"seeds": 2, "seed": None}, "llm": {"model": None}})
    {'search': {'seeds': 2}}
    """
    kept = {key: drop_unset(value) if isinstance(value, dict) else value for key, value in options.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def make_absolute(path: Path | None) -> str | None:
    """Return the absolute path as text; None without one."""
    return None if path is None else str(path.absolute())


# ---------------------------------------------------------------- groups of verbs


class VerbOrNameGroup(TyperGroup):
    """A group of verbs in which no verb means `list`, and a name instead of a verb means `show NAME`."""

    verb_alone: str | None = "list"
    verb_of_names = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the verb where it is left out."""
        first = next((argument for argument in args if not argument.startswith("-")), None)
        if first is None and "--help" not in args and self.verb_alone:
            args = [self.verb_alone, *args]
        elif first is not None and first not in self.commands:
            args = [self.verb_of_names, *args]
        return super().parse_args(ctx, args)
