"""Puts the files of results/ that the pages show or link into the built site.

Pages name them as seen from docs/, ``../results/NAME``, so that the links hold in the
repository too.
"""

import pathlib

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]


def on_files(files, config):
    """Adds them to the files of the site."""
    for path in sorted((ROOT / "results").rglob("*")):
        if path.is_file():
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, **_):
    """Links to where the site has them."""
    return markdown.replace("](../results/", "](results/")
