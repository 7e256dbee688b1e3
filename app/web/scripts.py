"""Scripts as browsers get them: without the lines that are comments, and in one piece with the modules they import."""

import re
from pathlib import Path

_COMMENT_LINES = re.compile(r"^ *//.*\n", re.MULTILINE)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|(?:async )?function) ([\w$]+))", re.MULTILINE)


def is_own_script(path: Path) -> bool:
    """Whether the file is one of our scripts; what is vendored goes out as it came."""
    return path.suffix == ".js" and path.parent.name != "vendor"


def sent_content(path: Path) -> bytes:
    """The static file's content as it is sent.

    A script that imports others has them inside, each in a scope of its own and before those that import it: so they
    come with one request, and compress as one text.
    """
    if not is_own_script(path):
        return path.read_bytes()
    imported: dict[str, str] = {}
    text = _linked(path, imported)
    return "".join((*imported.values(), text)).encode()


def _linked(path: Path, modules: dict[str, str]) -> str:
    """The script with its imports as constants; adds to `modules` what it imports, and before that what they do."""
    text = _COMMENT_LINES.sub("", path.read_text())
    for _, name in _IMPORT.findall(text):
        if name not in modules:
            linked = _linked(path.with_name(f"{name}.js"), modules)
            names = ", ".join(_EXPORT.findall(linked))
            modules[name] = (
                f"const {name}Module = (() => {{\n{_EXPORT.sub('', linked)}return {{ {names} }};\n}})();\n"
            )
    return _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {found[2]}Module;\n", text)
