"""Scripts as browsers get them: without comment lines and indents, and bundled with the modules that they import."""

import re
from pathlib import Path

# No template literal may go over several lines: what is left out of it would be text.
_COMMENT_LINES_AND_INDENTS = re.compile(r"^\s*(?://.*\n)?", re.MULTILINE)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|(?:async )?function) ([\w$]+))", re.MULTILINE)


def is_own_script(path: Path) -> bool:
    """Whether the file is one of our scripts; vendored files are sent unchanged."""
    return path.suffix == ".js" and path.parent.name != "vendor"


def sent_content(path: Path) -> bytes:
    """The static file's content as it is sent.

    Imported scripts are put inside, each in a scope of its own and before those that import it, so that one request
    loads all and they compress as one text.
    """
    if not is_own_script(path):
        return path.read_bytes()
    imported: dict[str, str] = {}
    text = _linked(path, imported)
    return "".join((*imported.values(), text)).encode()


def _linked(path: Path, modules: dict[str, str]) -> str:
    """The script with its imports as constants; adds its imports to `modules`, each after its own imports."""
    text = _COMMENT_LINES_AND_INDENTS.sub("", path.read_text())
    for _, name in _IMPORT.findall(text):
        if name not in modules:
            linked = _linked(path.with_name(f"{name}.js"), modules)
            names = ", ".join(_EXPORT.findall(linked))
            modules[name] = (
                f"const {name}Module = (() => {{\n{_EXPORT.sub('', linked)}return {{ {names} }};\n}})();\n"
            )
    return _IMPORT.sub(lambda match: f"const {{{match[1]}}} = {match[2]}Module;\n", text)
