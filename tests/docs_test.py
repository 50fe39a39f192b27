"""What README and docs/ say to type exists: modules, flags, names, files."""

import argparse
import ast
import dataclasses
import importlib
import importlib.util
import inspect
import pathlib
import re
import shlex
import tomllib
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from gem_jax import algorithms, policy
from gem_jax.testing import contract, fakes

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKING = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
# README's blocks without a language, for readers like .ci/run.
MARKERS = ("<!-- install-and-train -->", "<!-- install-and-test -->")
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```\n", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block; ``place`` is where it stands, for messages."""

    place: str
    language: str
    title: str
    text: str


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page, language=None):
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        info, *rest = match[1].split(maxsplit=1) or [""]
        if not info and before.rstrip("\n").endswith(MARKERS):
            info = "bash"
        title = re.search(r'title="(.+?)"', "".join(rest))
        place = f"{name_of(page)}:{before.count(chr(10)) + 1}"
        found.append(Block(place, info, title[1] if title else "", match[2]))
    return [block for block in found if language in (None, block.language)]


def prose(page):
    return FENCE.sub("", page.read_text())


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_say_what_they_are(page):
    for block in blocks(page):
        assert block.language in ("", "text", "python", "bash", "toml"), block.place
        if block.language in ("", "text"):
            assert "python -m" not in block.text, f"{block.place} is a shell's"
        if block.language == "toml":
            tomllib.loads(block.text)


def test_the_marked_blocks_are_there_once():
    text = (ROOT / "README.md").read_text()
    for marker in MARKERS:
        assert text.count(f"{marker}\n```\n") == 1


# Python


@pytest.fixture
def titled(tmp_path, monkeypatch):
    """The files that the pages show, as modules."""
    for page in PAGES:
        for block in blocks(page, "python"):
            if block.title:
                (tmp_path / block.title).write_text(block.text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(algorithms, "_registered", dict(algorithms._registered))
    importlib.invalidate_caches()
    return [path.stem for path in sorted(tmp_path.glob("*.py"))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_names_exist(page, titled):
    names = {}  # later blocks of a page go on with what earlier ones imported
    for block in blocks(page, "python"):
        tree = ast.parse(block.text, block.place)
        compile(tree, block.place, "exec")
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= imported(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                require_attribute(node, names, block.place)
            elif isinstance(node, ast.Call):
                require_keywords(node, names, block.place)


def imported(node):
    """What an import statement binds; raises what the statement would."""
    if isinstance(node, ast.Import):
        found = {}
        for alias in node.names:
            module = importlib.import_module(alias.name)
            top = alias.name.split(".")[0]
            found[alias.asname or top] = (
                module if alias.asname else importlib.import_module(top)
            )
        return found
    module = importlib.import_module(node.module)
    return {
        alias.asname or alias.name: member(module, alias.name) for alias in node.names
    }


def member(module, name):
    if hasattr(module, name):
        return getattr(module, name)
    return importlib.import_module(f"{module.__name__}.{name}")


def resolved(node, names):
    """What a chain of names stands for, as far as modules and classes reach."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    owner = resolved(node.value, names)
    return getattr(owner, node.attr, None) if is_namespace(owner) else None


def is_namespace(owner):
    return isinstance(owner, types.ModuleType | type)


def require_attribute(node, names, place):
    owner = resolved(node.value, names)
    if is_namespace(owner):
        assert hasattr(owner, node.attr), f"{place}: {ast.unparse(node)}"


def require_keywords(node, names, place):
    """Keywords of what this project defines are parameters of it."""
    called = resolved(node.func, names)
    if not getattr(called, "__module__", None) or not called.__module__.startswith(
        "gem"
    ):
        return
    parameters = inspect.signature(called).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for keyword in node.keywords:
        text = f"{place}: {ast.unparse(node.func)}({keyword.arg}=...)"
        assert keyword.arg is None or keyword.arg in parameters, text


def test_the_algorithms_of_the_pages_trace(titled, tmp_path):
    """By shapes alone; all three passed the whole contract when they were written."""
    found = [name for name in titled if hasattr(importlib.import_module(name), "TINY")]
    assert len(found) == 3
    for name in found:
        algorithms.register(name, importlib.import_module(name))
        case, key = contract.case(name), jax.random.key(0)
        contract.arguments_are_named_as_in_the_protocol(case, tmp_path)
        contract.another_algorithms_config_is_refused(case, tmp_path)
        jax.eval_shape(lambda: steps(case.algorithm, key))  # noqa: B023 - called at once


def steps(algorithm, key):
    """One update of each phase, then one action."""
    state, data = algorithm.init(key), fakes.random_transitions(key)
    for phase in algorithm.phases:
        state, extras = phase.prepare(state, key, data)
        batch = data._replace(extras={**data.extras, **extras})
        state, _ = phase.update(state, key, batch, jnp.int32(0))
    params = fakes.policy_params(algorithm.actor_params(state))
    acts = policy.bind(algorithm, params)
    return acts.take_step(key, acts.init_memory(2), jnp.zeros((2, 3)))[0].action


def test_the_reference_names_what_exists():
    named = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.M)
    assert len(named) == len(set(named)) > 40
    for name in named:
        home, _, last = name.rpartition(".")
        member(
            importlib.import_module(home), last
        ) if home else importlib.import_module(last)


# Shells


def commands(text):
    """The words of each ``python -m`` command, with variables put in."""
    variables = {}
    text = text.replace("\\\n", " ")
    for line in re.split(r"\n|;|&&", text):
        words = shlex.split(line, comments=True)
        while words and words[0] in ("do", "then", "done", "for", "export"):
            words = words[1:]
        if len(words) == 1 and re.fullmatch(r"\w+=.*", words[0]):
            name, value = words[0].split("=", 1)
            variables[name] = value
            continue
        for name, value in variables.items():
            words = [word.replace(f"${name}", value) for word in words]
        words = " ".join(words).split()
        if "-m" in words:
            yield words[words.index("-m") + 1 :]


def shell_commands(page):
    for block in blocks(page, "bash"):
        yield from ((block.place, words) for words in commands(block.text))
    for span in re.findall(r"`([^`]*python -m [^`]*)`", prose(page)):
        text = span.replace("\n", " ")
        yield from ((name_of(page), words) for words in commands(text))


def source_of(module):
    """Where a module of this repository that is a command has its flags."""
    place = ROOT.joinpath(*module.split("."))
    for path in (place.with_suffix(".py"), place / "__main__.py"):
        if path.exists():
            return path
    raise AssertionError(f"no module {module} that could be run")


def defined_flags(source, words):
    """Name to the kind of definition, of the flags in the text of a command."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and "DEFINE" in ast.unparse(node.func):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                found[name.value] = ast.unparse(node.func).rpartition("DEFINE_")[2]
    if re.search(r"knob_flags\.(define|parse)", source):
        found |= dict.fromkeys(knob_names(words), "knob")
    return found


def knob_names(words):
    """Knobs of the algorithm that the run folder of a command names, or of GEM."""
    (folder,) = [w for w in words if w.startswith("--workdir=")] or [""]
    (algo,) = set(folder.split("/")) & set(algorithms.names()) or {"gem"}
    config = algorithms.tiny_config(algo)
    knobs = algorithms.make(algo, config, fakes.SPEC).knobs
    if not dataclasses.is_dataclass(knobs):
        return []  # it has none
    return [field.name for field in dataclasses.fields(knobs)]


def config_fields(words):
    """Settings of the algorithm that a command names; of all where that is a loop's."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--algo", default="gem")
    algo = parser.parse_known_args(words)[0].algo
    names = algorithms.names() if algo.startswith("$") else [algo]
    classes = [algorithms.config_class(name) for name in names]
    return {field.name for each in classes for field in dataclasses.fields(each)}


def require_flags(words, place):
    source = source_of(words[0]).read_text()
    assert '__name__ == "__main__"' in source, f"{place}: {words[0]} is no command"
    known = defined_flags(source, words)
    for word in words[1:]:
        if not word.startswith("--"):
            continue
        name, dot, field = word[2:].split("=")[0].partition(".")
        if dot:
            assert known.get(name) == "config_dict", f"{place}: {word}"
            assert field in config_fields(words), f"{place}: {word}"
        elif name not in known:
            assert known.get(name.removeprefix("no")) == "bool", f"{place}: {word}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_flags_exist(page):
    for place, words in shell_commands(page):
        if words[0].startswith(("experiments", "benchmarks")):
            require_flags(words, place)
        else:
            found = importlib.util.find_spec(f"{words[0]}.__main__")
            assert found or words[0] == "venv", f"{place}: {words[0]}"


def test_commands_are_read_through_variables_loops_and_continuations():
    text = (
        'sweep="python -m experiments.sweep --workdir=x"\n'
        "$sweep --kappa=0,1  # a comment\n"
        "for a in bc iql; do\n"
        "  python -m experiments.train --algo=$a \\\n    --seed=1\n"
        "done\n"
    )
    assert list(commands(text)) == [
        ["experiments.sweep", "--workdir=x", "--kappa=0,1"],
        ["experiments.train", "--algo=$a", "--seed=1"],
    ]
    for wrong in ("--kapa=1", "--nokappa", "--config.beta=1"):
        with pytest.raises(AssertionError, match="here"):
            require_flags(["experiments.sweep", wrong], "here")
    require_flags(["experiments.train", "--algo=bc", "--config.batch_size=1"], "here")
    with pytest.raises(AssertionError, match="here"):
        require_flags(["experiments.train", "--algo=bc", "--config.beta=1"], "here")


def test_extras_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page in PAGES:
        for extra in re.findall(r'-e "\.\[(\w+)\]"', page.read_text()):
            assert extra in project["optional-dependencies"], name_of(page)


# Files


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"https?:|mailto:|#", target):
            path = page.parent / target.split("#")[0]
            assert path.exists(), f"{name_of(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_in_prose_exist(page):
    homes = "gem_jax|experiments|benchmarks|results|tests|docs"
    for path in re.findall(rf"`((?:{homes})/[^`\s]*)`", prose(page)):
        if not re.search(r"[A-Z]{2}", path):  # NAME and ROBOT stand for many
            assert list(ROOT.glob(path.rstrip("/"))), f"{name_of(page)}: {path}"
