"""The pages that people wrote, as the site shows them: links out of docs/, lists, and notebooks."""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

TEXT = (".md", ".yml")
COPIED = (".svg", ".png", ".py", ".csv")
OTHER_PAGES = {"README.md": "readme.md", "SECURITY.md": "security.md"}
"""Pages outside of docs/ that the site has, too."""

UNSEARCHED = ("certificates.md", "certificates-recurrent.md")
"""Long tables, which would be most of what a search finds."""

FENCE = re.compile(r"^(```.*?^```[^\n]*$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
LIST_AFTER_TEXT = re.compile(r"^(?!\s*(?:[-*]|\d+\.) |\s*$|\s+|[|#<])(.*)\n(?=(?:[-*]|\d+\.) )", re.MULTILINE)


def written(root: Path, *, execute: bool = False) -> dict[str, str | bytes]:
    """Files of docs/, and pages beside it, by their path in the site.

    Args:
        root: of the repository.
        execute: Whether to execute the notebooks, which are kept without outputs.
    """
    found: dict[str, str | bytes] = {}
    for path in sorted((root / "docs").rglob("*")):
        name = path.relative_to(root / "docs").as_posix()
        if path.suffix in TEXT:
            text = path.read_text(encoding="utf-8")
            found[name] = page(text, path, root) if path.suffix == ".md" else text
        elif path.suffix == ".ipynb":
            found |= notebook(path, root, execute=execute)
        elif path.suffix in COPIED:
            found[name] = path.read_bytes()
    for name, target in OTHER_PAGES.items():
        found[target] = page((root / name).read_text(encoding="utf-8"), root / name, root)
    return found


def page(text: str, path: Path, root: Path) -> str:
    """The Markdown of a page, for the site instead of GitHub."""
    outside = FENCE.split(text)
    for index in range(0, len(outside), 2):
        prose = LINK.sub(lambda link: _link(link, path, root), outside[index])
        prose = prose.replace("<details>", '<details markdown="1">')  # the site takes it for HTML otherwise
        outside[index] = LIST_AFTER_TEXT.sub(r"\1\n\n", prose)
    hidden = "---\nsearch:\n  exclude: true\n---\n\n" if path.name in UNSEARCHED else ""
    return hidden + "".join(outside)


def notebook(path: Path, root: Path, *, execute: bool) -> dict[str, str | bytes]:
    """A notebook as a page, and its figures: with the output that is stored in it, or that it has when executed."""
    import nbformat  # an extra, as is nbconvert; the other pages need neither
    from nbconvert import MarkdownExporter
    from nbconvert.preprocessors import ExecutePreprocessor

    name = path.relative_to(root / "docs").with_suffix("").as_posix()
    document = nbformat.read(path, as_version=4)
    if execute:
        with TemporaryDirectory() as folder:
            ExecutePreprocessor(timeout=600, startup_timeout=600).preprocess(document, {"metadata": {"path": folder}})
    resources = {"output_files_dir": f"{path.stem}-files", "unique_key": path.stem}
    text, made = MarkdownExporter().from_notebook_node(document, resources=resources)
    figures = {f"{Path(name).parent.as_posix()}/{file}": data for file, data in made["outputs"].items()}
    return {f"{name}.md": page(text, path, root), **figures}


def inline(svg: str) -> str:
    """A picture inside a page, whose colors come from the style of the site."""
    return re.sub(r"<style>.*?</style>\n", "", svg)


def _link(link: re.Match[str], path: Path, root: Path) -> str:
    """A link of a page, to where the site has its target; the name of the file if the site lacks it."""
    image, text, target = link.groups()
    if image and target.endswith(".svg") and 'class="drawing"' in (svg := (path.parent / target).read_text("utf-8")):
        return f"<figure>\n{inline(svg.strip())}\n</figure>"
    file, hash_, anchor = target.partition("#")
    if not file or "://" in target or target.startswith("mailto:"):
        return link.group()
    found = os.path.relpath((path.parent / file).resolve(), root)
    here = OTHER_PAGES.get(path.name, "") if path.parent == root else os.path.relpath(path, root / "docs")
    inside = OTHER_PAGES.get(found) or (os.path.relpath(found, "docs") if found.startswith("docs/") else None)
    if inside is None:
        return text if text.strip("`").endswith(Path(found).name) else f"{text} (`{found}`)"
    inside = str(Path(inside).with_suffix(".md")) if inside.endswith(".ipynb") else inside
    return f"{image}[{text}]({os.path.relpath(inside, Path(here).parent)}{hash_}{anchor})"
