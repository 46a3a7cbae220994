"""Licences and known vulnerabilities of what is installed.

Licences are read from the metadata of the packages, without a network. Vulnerabilities are those
that `pip-audit` finds; where its service cannot be reached, that is said, and is no failure. Every
finding is one, unless it is listed here with the reason why it has to stay.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions

OWN = "masked-training-denoisers"

ALLOWED = (
    *("0BSD", "Apache", "BSD", "BSL-1.0", "CC0", "HPND", "ISC", "MIT", "PSF", "Python Software"),
    *("Unlicense", "Zlib", "Public Domain", "Zope"),  # permissive
    *("MPL", "Mozilla", "LGPL", "Lesser General"),  # copyleft of their own files alone
)
"""Beginnings of words of licences that let this project keep its own."""

REFUSED = re.compile(r"\b(A?GPL|Affero|GNU General|Proprietary|non-?commercial|CC-BY-NC)", re.I)

INSTALLER = "pip"
"""Part of every virtual environment, and no dependency."""

KNOWN_LICENCES = {
    "axe-playwright-python": "MIT (its LICENSE); the axe-core in it is MPL-2.0; tests alone use it",
    "nvidia-": "NVIDIA's libraries, which PyTorch's wheels for GPUs need; they are not passed on",
    "cuda-toolkit": "names NVIDIA's libraries; holds nothing",
    "openexr": "BSD-3-Clause (its repository); the metadata of its wheels name none",
}
"""Beginnings of names of packages whose metadata is not enough, and why they may stay."""

KNOWN_VULNERABILITIES: dict[str, str] = {}
"""Identifiers of findings that cannot be solved yet, and why."""

SECONDS = 180
"""Time limit of `pip-audit`; its service may not answer."""


def licence(package: Distribution) -> str:
    """What the metadata of a package says of its licence."""
    about = package.metadata
    classifiers = about.get_all("Classifier") or []
    named = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    named = [name for name in named if name != "OSI Approved"]
    first = (about.get("License") or "").strip().partition("\n")[0][:80]
    return about.get("License-Expression") or "; ".join(named) or first


def refused(text: str) -> bool:
    """Whether a licence is not an allowed one: one of several that are offered is enough.

    >>> refused("MIT OR GPL-3.0-only"), refused("MIT AND GPL-3.0-only"), refused("")
    (False, True, True)
    >>> refused("GNU Lesser General Public License v3 or later (LGPLv3+)"), refused("BSD")
    (False, False)
    """
    if "(" in text and REFUSED.search(text):  # whether AND or OR binds it, a person should say
        return True
    return all(map(_refused, re.split(r"\s+OR\s+", text)))


def _refused(text: str) -> bool:
    parts = re.split(r"\s+AND\s+|;\s*", text.strip("() "))
    return any(bool(REFUSED.search(part)) or not allowed(part) for part in parts)


def allowed(part: str) -> bool:
    """Whether a word of a licence begins as one of the allowed ones does."""
    pattern = rf"\b({'|'.join(map(re.escape, ALLOWED))})"
    return re.search(pattern, part, re.I) is not None


def licences() -> list[str]:
    """A line for each package whose licence is not an allowed one."""
    found = []
    for package in distributions():
        name = package.metadata["Name"]
        known = any(name.lower().startswith(start) for start in (*KNOWN_LICENCES, OWN))
        text = licence(package)
        if not known and refused(text):
            found.append(f"{name} {package.version}: licence {text or 'not given'}")
    return sorted(found)


def vulnerabilities() -> tuple[list[str], str]:
    """A line for each finding of `pip-audit`, and why packages were not audited; else ""."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [], f"pip-audit had no answer in {SECONDS} seconds"
    return findings(done.stdout, (done.stderr.strip().splitlines() or ["no output"])[-1])


def findings(report: str, said: str) -> tuple[list[str], str]:
    """What a report of `pip-audit` holds; see `vulnerabilities`.

    Args:
        report: its JSON; no JSON where it failed.
        said: the last line of its stderr.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return [], f"pip-audit failed ({said})"
    found = [
        f"{package['name']} {package['version']}: {one['id']}"
        + (f", fixed in {', '.join(one['fix_versions'])}" if one.get("fix_versions") else "")
        for package in packages
        for one in package.get("vulns", ())
        if package["name"] != INSTALLER
        if not {one["id"], *one.get("aliases", ())} & set(KNOWN_VULNERABILITIES)
    ]
    skipped = [package for package in packages if "vulns" not in package]
    if not skipped:
        return found, ""
    why = f"{len(skipped)} of {len(packages)} packages, first {skipped[0]['name']}"
    return found, f"{why}: {skipped[0].get('skip_reason', 'no reason given')}"


def main() -> int:
    """Print the findings; the exit status is 1 if there are any."""
    wrong = licences()
    print(f"licences: {len(wrong)} not allowed", *wrong, sep="\n  ")
    found, skipped = vulnerabilities()
    if found or not skipped:
        print(f"vulnerabilities: {len(found)}", *found, sep="\n  ")
    if skipped:
        print(f"vulnerabilities: not audited ({skipped})")
    for name, reason in KNOWN_VULNERABILITIES.items():
        print(f"  known: {name} ({reason})")
    return int(bool(wrong or found))


if __name__ == "__main__":
    sys.exit(main())
