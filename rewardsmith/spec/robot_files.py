"""Files of a robot's model: the file that the user names, and every file that it includes or takes its meshes from.

They are found by reading the XML alone, as MuJoCo looks for them: `meshdir` and `texturedir` of the main file, else
beside it. Only files of the kinds that a model has are taken, so that a model from elsewhere names no other file of
this machine.
"""

from __future__ import annotations

import codecs
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from rewardsmith.contract import bounded_files
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import TaskError

MODEL_SUFFIXES = (".xml", ".mjcf", ".urdf")
ASSET_SUFFIXES = (".stl", ".obj", ".msh", ".png", ".ktx", ".skn", ".hf", ".bin", ".dae", ".glb", ".gltf", ".mtl")
"""Kinds of files that a model may name."""
MAX_XML_BYTES = 16 << 20
_FOLDERS = ("assetdir", "meshdir", "texturedir")


@dataclass(frozen=True)
class ModelFiles:
    """A model and its files."""

    folder: Path
    """The innermost folder that holds all of them."""
    model: str
    """The model's file, relative to the folder, with `/`."""
    names: tuple[str, ...]
    """All files, likewise."""


def collect_model_files(path: Path) -> ModelFiles:
    """Return the files of a model.

    Raises:
        TaskError: if the model cannot be read, is not XML, or names a file that is missing or no part of a model.
    """
    if not path.exists():
        raise TaskError(f"there is no robot file {str(path)!r}; give the path of an MJCF or URDF file")
    main = path.resolve()
    files = {main, *_iterate_files(main, ())}
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return ModelFiles(
        folder,
        main.relative_to(folder).as_posix(),
        tuple(sorted(file.relative_to(folder).as_posix() for file in files)),
    )


def _iterate_files(main: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files that a main file and its includes name; a model that it attaches is a main file of its own.

    Args:
        main: the file.
        above: the main files that lead to this one.

    Raises:
        TaskError: if a file cannot be used, or a model attaches itself, at which MuJoCo's compiler ends the process.
    """
    if main in above:
        raise TaskError(
            f"{main}: the model attaches itself by <model>, through {', '.join(file.name for file in above)}"
        )
    trees = _read_trees(main)
    yield from (file for file, _ in trees if file != main)

    # Folders in which assets are looked for; URDF looks for meshes by their name alone, in MJCF that is an option.
    is_urdf = trees[0][1].tag == "robot"
    compilers = [compiler for _, root in trees for compiler in root.iter("compiler")]
    strips = is_urdf or any(compiler.get("strippath") == "true" for compiler in compilers)
    folders = [main.parent / compiler.get(key, "") for compiler in compilers for key in _FOLDERS if compiler.get(key)]

    for file, root in trees:
        for element, value in _list_asset_names(root, is_urdf):
            name = PurePath(value.replace("\\", "/")).name if strips else value
            found = _find_file(name, [*folders, main.parent, file.parent], file, element.tag)
            yield found
            if element.tag == "model":
                yield from _iterate_files(found, (*above, main))


def _read_trees(main: Path) -> list[tuple[Path, ElementTree.Element]]:
    """Return a main file and all files that it includes, the main file first, each with its XML tree."""
    trees = list[tuple[Path, ElementTree.Element]]()
    pending, seen = [main], {main}
    while pending:
        file = pending.pop()
        root = _parse_xml(file)
        trees.append((file, root))
        for element in root.iter("include"):
            included = _find_file(element.get("file", ""), [main.parent, file.parent], file, "include")
            if included not in seen:
                seen.add(included)
                pending.append(included)
    return trees


def _list_asset_names(root: ElementTree.Element, is_urdf: bool) -> Iterator[tuple[ElementTree.Element, str]]:
    """Yield the elements of a file that name another file, with its name; includes are left out."""
    for element in root.iter():
        if element.tag in ("include", "plugin"):
            continue
        for key, value in element.attrib.items():
            is_name = key.startswith("file") or (is_urdf and key == "filename" and element.tag == "mesh")
            if is_name and value:
                yield element, value


def _parse_xml(file: Path) -> ElementTree.Element:
    try:
        text = bounded_files.read_bytes(file, MAX_XML_BYTES)
        if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise TaskError(f"the robot file {str(file)!r} is UTF-16, which MuJoCo does not read; save it as UTF-8")
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise TaskError(
            f"the robot file {str(file)!r} is not XML: {error}; give the model's MJCF or URDF file"
        ) from error
    except (ValueError, LookupError) as error:
        reason = error.reason if isinstance(error, DamagedFile) else str(error)
        raise TaskError(f"the robot file {str(file)!r} cannot be read: {reason}") from error
    except OSError as error:
        raise TaskError(f"the robot file {str(file)!r} cannot be read: {error.strerror}") from error
    if any("xacro}" in element.tag or "${" in "".join(element.attrib.values()) for element in root.iter()):
        raise TaskError(
            f"the robot file {str(file)!r} is a template of xacro; `xacro {file.name} -o robot.urdf` makes a URDF of it"
        )
    return root


def _find_file(name: str, folders: list[Path], named_in: Path, what: str) -> Path:
    """Return a file that a model names.

    Raises:
        TaskError: if it is absent, has an absolute path, or is of a kind that no model has.
    """
    if Path(name).is_absolute():
        raise TaskError(
            f"{named_in}: <{what}> names {name!r} by an absolute path, which no other machine has; write it relative to"
            " the model's file"
        )
    if not name.lower().endswith((*MODEL_SUFFIXES, *ASSET_SUFFIXES)):
        raise TaskError(
            f"{named_in}: <{what}> names {name!r}, which is no file of a model; there are"
            f" {', '.join((*MODEL_SUFFIXES, *ASSET_SUFFIXES))}"
        )
    # By their names and not by where links lead: the names are those that MuJoCo looks for in the store.
    places = [Path(os.path.normpath(folder / name)) for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(dict.fromkeys(str(folder) for folder in folders))
        or_else = "correct the name" if what == "include" else "set meshdir in <compiler>"
        raise TaskError(
            f"{named_in}: the file {name!r} of <{what}> is missing; it was looked for in {looked}: put it there, or"
            f" {or_else}"
        )
    target = found.resolve()
    if not target.name.lower().endswith((*MODEL_SUFFIXES, *ASSET_SUFFIXES)):
        raise TaskError(f"{named_in}: the file {name!r} of <{what}> is a link to {target}, which is no file of a model")
    return found
