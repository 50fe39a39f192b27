"""What is told of a source, and the task file that is written of it."""

import tomllib

from gem_jax.data import description, task_text


def describe(source, **options):
    return description.of_source(source, log=lambda line: None, **options)


def toml(source, **options):
    """The file's content, and its text."""
    found, _, provenance = describe(source, **options)
    text = task_text.to_toml(found, provenance)
    return tomllib.loads(text), text
