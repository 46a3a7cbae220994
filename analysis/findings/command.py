"""The paper's findings, and whether trainings of one's own show them: one page.

`python -m analysis.findings STUDY` is the command.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.findings.study import CELLS, CLAIMS, DRIFT, GATHERED, NAME, PICTURES, TABLES
from mtd.utils import atomic_write, cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from analysis.findings.measurements import Study

EXAMPLES = """\
  bash reports/findings/remake.sh DATA runs/findings                # all that the page is made of
  python -m analysis.findings runs/findings                         # claims and page
  python -m analysis.findings reports/findings                      # the page alone
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.findings",
        "Hold trainings of your own against what the paper finds: its tables and figures beside "
        "yours, and for each claim whether they agree.",
        EXAMPLES,
    )
    p.add_argument(
        "study",
        metavar="STUDY",
        help="folder of run folders: ablations, levels, monte_carlo, brightness, completion_80, "
        "completion_90, tissue, tissue_hidden, curves, drift_shown, drift_hidden, pair (a report); "
        "claims whose run is not there are said to be open. Of a folder that was made of one, "
        "the page is made again",
    )
    p.add_argument("--output-dir", metavar="DIR", help="default: STUDY/page")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages")
    return p


def main() -> None:
    """Judge the claims, copy what the page shows, make the page."""
    run(parser().parse_args())


def run(args: argparse.Namespace) -> Path:
    """The command on parsed arguments; returns the page's folder.

    Raises:
        BadInput: no such study, nothing in it, or a folder that cannot be written.
        Failed: a cell of the notebook failed.
    """
    from analysis.findings.claims import ABSENT, judged
    from analysis.findings.measurements import Study
    from analysis.pages import notebooks

    study = Study(Path(args.study))
    if not study.path.is_dir():
        raise BadInput(f"{study.path}: no such folder; expected one of run folders")
    notebooks.check_kernel()
    if (study.path / f"{CLAIMS}.csv").is_file():
        if args.output_dir:
            raise BadInput(f"{study.path}: was made of a study, and is made again where it is")
        publish(study.path, args.quiet)
        return study.path
    folder = Path(args.output_dir or study.path / "page")
    free(folder, study.path)
    tables, verdicts = gathered(study), judged(study)
    if (verdicts.verdict == ABSENT).all():
        known = ", ".join(dict.fromkeys(run for run, _ in TABLES.values()))
        raise BadInput(
            f"{study.path}: decides no claim; expected runs such as {known}, of networks that are "
            "called as in reports/findings/remake.sh"
        )
    for name in (*TABLES, *GATHERED, *PICTURES):  # of runs that are not there any more
        (folder / f"{name}.csv").unlink(missing_ok=True)
        (folder / f"{name}.png").unlink(missing_ok=True)
    for name, frame in (tables | {CLAIMS: verdicts}).items():
        atomic_write.write(folder / f"{name}.csv", frame.to_csv(index=False, na_rep="nan"))
    for name, content in pictures(study).items():
        atomic_write.write(folder / f"{name}.png", content)
    atomic_write.write(folder / "manifest.json", json.dumps(manifest(study), indent=2) + "\n")
    publish(folder, args.quiet)
    return folder


def free(folder: Path, study: Path) -> None:
    """See that a folder may hold the page.

    Raises:
        BadInput: it is the study, or holds something else.
    """
    from analysis.commands.run_folder import MANIFEST, read_manifest

    if folder.resolve() == study.resolve():
        raise BadInput(f"--output-dir {folder}: is the study; give another folder")
    if (folder / MANIFEST).is_file() and read_manifest(folder).get("analysis") != NAME:
        raise BadInput(f"--output-dir {folder}: holds another run; give another folder")


def gathered(study: Study) -> dict[str, pd.DataFrame]:
    """The tables that the page shows, as far as they are there."""
    from analysis.findings.measurements import cells, drift

    found = {name: study.table(*place) for name, place in TABLES.items()}
    found |= {CELLS: cells(study), DRIFT: drift(study)}
    return {name: frame for name, frame in found.items() if frame is not None}


def pictures(study: Study) -> dict[str, bytes]:
    """The pictures that it shows, as far as they are there, in 256 colours."""
    from analysis.plotting.notebook_output import reduced

    found = {}
    for name, (run, picture) in PICTURES.items():
        path = study.path / run / f"{picture}.png"
        if path.is_file():
            found[name] = reduced(path.read_bytes())
    return found


def manifest(study: Study) -> dict[str, Any]:
    """What decides the numbers: models by digest, noises and images of each run."""
    from analysis.commands.run_folder import MANIFEST, read_manifest

    found: dict[str, Any] = {}
    computed = [run for runs in GATHERED.values() for run in runs]
    for run in dict.fromkeys([*computed, *(run for run, _ in TABLES.values())]):
        if (study.path / run / MANIFEST).is_file():
            held = read_manifest(study.path / run)
            crops = seen(held)
            text = json.dumps(crops, sort_keys=True).encode()
            found[run] = {
                "analysis": held["analysis"],
                "models": {
                    name: about.get("sha256") for name, about in held.get("models", {}).items()
                },
                **{k: held[k] for k in ("noises", "seed", "input_mask", "logs") if k in held},
                "images": len({crop["image"] for crop in crops}),
                "crops": len(crops),
                "crop": held.get("crop"),
                "crops_sha256": hashlib.sha256(text).hexdigest(),
            }
    return {"analysis": NAME, "judged_by": judges(), "runs": found}


def seen(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The crops of a run, with those that recorded pairs bring."""
    found = list(manifest.get("crops", []))
    for recorded in manifest.get("recorded", {}).values():
        found += recorded["crops"] if isinstance(recorded, dict) else []
    return found


def judges() -> dict[str, str]:
    """Digests of what the claims are judged by: if any changes, they are to be judged anew."""
    from analysis.pages.fingerprint import digest

    package = Path(__file__).parent
    made = [package / "claims.py", package / "measurements.py"]
    made += sorted((package / "published").glob("*.csv"))
    return {path.relative_to(package).as_posix(): digest(path) for path in made}


def publish(folder: Path, quiet: bool = True) -> None:
    """Execute the notebook on a folder's tables, and write the page beside them.

    Raises:
        BadInput: no kernel, or a file that cannot be written.
        Failed: a cell failed.
    """
    from analysis.pages import fingerprint
    from analysis.pages import html as pages_html
    from analysis.pages import notebooks as pages_notebooks
    from analysis.pages.attachments import Attachment

    if not quiet:
        print("executing the notebook", file=sys.stderr)
    given: Mapping[str, Any] = {"run_dir": "."}
    done = pages_notebooks.execute(
        pages_notebooks.with_parameters(pages_notebooks.stored(NAME), given, NAME),
        folder,
        NAME,
        quiet,
    )
    held = [*sorted(folder.glob("*.csv")), folder / "manifest.json"]
    attached = [Attachment(path.name, path.read_bytes()) for path in held]
    html = pages_html.html(done, attached, fingerprint.heading(done))
    atomic_write.write(folder / f"{NAME}.html", html)
    inputs = json.dumps(fingerprint.inputs([NAME], ["analysis.findings"], {}), indent=2)
    atomic_write.write(folder / fingerprint.INPUTS, inputs + "\n")
    print(f"written to {folder / NAME}.html")
