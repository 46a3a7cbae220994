"""Suites: those of the package hold what they say, and files that cannot be used are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.engine.protocol import DEFAULT, Protocol
from analysis.generalization import noise_suite
from mtd.noise import specs as noise_specs
from mtd.noise.drawing import Drawing
from mtd.utils.errors import BadInput


def test_the_paper_suite_has_the_levels_of_its_figures():
    found = noise_suite.load("paper")
    assert found.crop is None and found.limit is None
    assert found.in_distribution == ("gaussian:15",)
    assert found.test_sets == (
        *("cbsd68", "kodak24", "mcmaster", "urban100"),
        *("sidd_validation", "monte_carlo:64", "monte_carlo:128"),
    )
    levels: dict[str, list[float | None]] = {}
    for text in found.noises:
        parsed = noise_specs.parse(text)
        levels.setdefault(parsed.name, []).append(parsed.level)
    assert levels == {
        "gaussian": [15, 25, 50],
        "spatial": [40, 45, 50, 55, 60],
        "speckle": [0.018, 0.024, 0.03, 0.036, 0.04],
        "poisson": [2, 2.5, 3, 3.5],
        "mixture": [1, 2, 3, 4, 5],
        "salt_pepper": [0.002, 0.02],
        "isp": [None],
    }


def test_paper_is_another_name_of_masked():
    assert noise_suite.load("paper") == noise_suite.load("masked")
    assert noise_suite.load("paper").name == "masked"


TRAINED = dict.fromkeys(("masked", "clipdenoising", "idf"), ("gaussian:15",))
"""By suite, the noise that its networks are trained on, where the protocol says so."""


@pytest.mark.parametrize("name", noise_suite.names())
def test_every_noise_is_known_and_few_suites_say_what_models_were_trained_on(name):
    found = noise_suite.load(name)
    specs = [noise_specs.parse(text).spec for text in found.noises]
    assert specs == list(found.noises) and len(set(specs)) == len(specs) and found.about
    assert found.in_distribution == TRAINED.get(name, ())
    assert (specs or found.test_sets) and found.version == 1


def test_the_small_print_of_clipdenoising():
    found = noise_suite.load("clipdenoising")
    assert found.test_sets == ("cbsd68", "mcmaster", "kodak24", "urban100")
    assert found.protocol.entry() == {
        "seed_policy": "legacy_per_image",
        "clip_noisy": ["poisson"],
        "quantize_noisy": False,
        "round_output": False,
        "border": 0,
        "metric_domain": "rgb",
    }
    levels = [(n.name, n.level) for n in map(noise_specs.parse, found.noises)]
    assert levels == [
        *(("gaussian", level) for level in (15, 25, 50)),
        *(("spatial", level) for level in (40, 45, 50, 55)),
        *(("poisson", level) for level in (2, 2.5, 3, 3.5)),
    ]


def test_other_suites():
    twenty = [noise_specs.parse(text).level for text in noise_suite.load("levels").noises]
    assert twenty == list(range(5, 101, 5))
    assert noise_suite.load("dn50").protocol.border == 4
    for name in ("quick", "masked"):
        assert noise_suite.load(name).protocol == DEFAULT


def test_a_file_of_ones_own_takes_every_key(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "ours"\nabout = "x"\nversion = 3\nnoises = ["poisson:2"]\n'
        'in_distribution = ["gaussian:15"]\ntest_sets = ["kodak24"]\ncrop = 32\nlimit = 4\n'
        'seed_policy = "legacy_per_image"\nclip_noisy = ["poisson"]\nquantize_noisy = false\n'
        'round_output = false\nborder = 2\nmetric_domain = "luma"\n'
    )
    drawing = Drawing("legacy_per_image", ("poisson",), False)
    protocol = Protocol("ours", 2, "y", False, drawing)
    assert noise_suite.load(str(path)) == noise_suite.Suite(
        *("ours", "x", ("poisson:2",), ("gaussian:15",), 32, 4, 3, ("kodak24",), protocol)
    )
    path.write_text('noises = ["poisson:2"]\nquantize_noisy = false\n')
    assert noise_suite.load(str(path)).protocol.drawing == Drawing.stored(False)
    path.write_text('noises = ["poisson:2"]\nquantize_noisy = false\nclip_noisy = []\n')
    assert noise_suite.load(str(path)).protocol.drawing == Drawing.stored(False)


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('noises = ["poisson:2"]\nlimit = 3\n', encoding="utf-8-sig")  # as Notepad does
    assert noise_suite.load(str(path)) == noise_suite.Suite("mine", noises=("poisson:2",), limit=3)


@pytest.mark.parametrize(
    "content, message",
    [
        ("noises = []", "no noises in it"),
        ('noises = "gaussian:15"', r"noises 'gaussian:15': expected a list of strings such as"),
        ('noises = ["a"]\ncrops = 3', "no key 'crops'; did you mean crop"),
        ('noises = ["a"]\ncrop = "x"', "crop 'x': expected a whole number from 8 up"),
        ('noises = ["a"]\nlimit = true', "limit True: expected a whole number from 1 up"),
        ('noises = ["a"]\nabout = 3', "about 3: expected a string"),
        ("noises = [", "not TOML"),
        ("noises = " + "[" * 5000, "not TOML .nested too deeply"),
        (f"crop = {'9' * 5000}", "not TOML .a number with too many digits"),
        ("a." * 200 + "b = 1", "not TOML .a key of more than 100 parts"),
        ('noises = ["gaussian:=' + "gaussian:=" * 90 + 'isp"]', "expected a noise of its own"),
        (f'noises = ["{"x" * 9000}"]', "9000 characters; expected up to 1000, such as"),
        (f"{'k' * 9000} = 1", "no key 'kkk"),
        (f"about = [{'1, ' * 9000}]", "about .{200}: expected a string"),
        ("noises = [" + '"isp", ' * 1001 + "]", "noises, 1001 noises or test sets; the limit is 1"),
        ('noises = ["gausian:15"]', "noise 'gausian:15': did you mean gaussian:15"),
        ('seed_polcy = "legacy"', "no key 'seed_polcy'; did you mean seed_policy"),
        ('seed_policy = "legacy_image"', "'legacy_image': did you mean legacy_per_image"),
        ('metric_domain = "lumma"', "metric_domain 'lumma': did you mean luma"),
        ('test_sets = ["kodak42"]', "test set 'kodak42': did you mean kodak24"),
        ('test_sets = "kodak24"', r"'kodak24': expected a list of strings such as \[.kodak24.\]"),
        ('clip_noisy = ["poison"]', "kind of noise 'poison': did you mean poisson"),
        ("clip_noisy = 3", "clip_noisy 3: expected true, false or a list"),
        ('noises = ["isp"]\nclip_noisy = false', "quantize_noisy = true stores"),
        ('round_output = "yes"', "round_output 'yes': expected true or false"),
        ("border = -1", "border -1: expected a whole number from 0 to 128"),
        ("border = 129", "border 129: expected a whole number from 0 to 128"),
        ('noises = ["isp"]\ncrop = 8\nborder = 4', "border 4 leaves no pixels of crops of side 8"),
        (
            'noises = ["gaussian:15", "gaussian:15.0"]',
            "mine.toml: noises: gaussian:15 is given twi",
        ),
        ('test_sets = ["cc", "cc"]', "mine.toml: test_sets: cc is given twice"),
        ('noises = ["folder:x", "folder:x"]', "mine.toml: noises: folder:x is given twice"),
        ('in_distribution = ["isp", "isp"]', "mine.toml: in_distribution: isp is given twice"),
        ('clip_noisy = ["isp", "isp"]', "mine.toml: clip_noisy: isp is given twice"),
        ('in_distribution = ["gausian:5"]', "mine.toml: in_distribution: .*did you mean gaussian"),
        ('name = "masked"\nnoises = ["isp"]', "name 'masked' has a meaning of its own"),
        ('name = "Paper"\nnoises = ["isp"]', "name 'Paper' has a meaning of its own"),
        ('name = "default"\nnoises = ["isp"]', "name 'default' has a meaning of its own"),
        ('name = " "\nnoises = ["isp"]', "name ' ': expected a name in one line"),
        ('name = "a/b"\nnoises = ["isp"]', "name 'a/b': expected a name in one line"),
        ('name = "b\\nc"\nnoises = ["isp"]', r"name 'b\\nc': expected a name in one line"),
        ("version = 0", "version 0: expected a whole number from 1 up"),
        ('noises = ["isp"]\nseed_policy = "legacy_per_image"', "isp cannot be drawn from NumPy"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str, message: str):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match=message) as error:
        noise_suite.load(str(path))
    assert len(str(error.value).splitlines()) == 1


def test_names_that_are_not_there(tmp_path):
    expected = r"suite 'papr': no suite .*no file that ends in \.toml; did you mean paper\?$"
    with pytest.raises(BadInput, match=expected):
        noise_suite.load("papr")
    with pytest.raises(BadInput, match="no such file"):
        noise_suite.load(str(tmp_path / "absent.toml"))


def test_a_file_named_like_a_suite_has_to_give_another_name(tmp_path):
    path = tmp_path / "quick.toml"
    path.write_text('noises = ["isp"]')
    with pytest.raises(BadInput, match="name 'quick' has a meaning of its own"):
        noise_suite.load(str(path))
    path.write_text('name = "my quick one"\nnoises = ["isp"]')
    assert noise_suite.load(str(path)).name == "my quick one"


def test_training_noise_may_be_a_range_or_that_of_a_test_set(tmp_path):
    path = tmp_path / "mine.toml"
    given = ("gaussian:0..55", "cc", "idf_gaussian:15")
    path.write_text(f'test_sets = ["cc"]\nin_distribution = {list(given)}')
    assert noise_suite.load(str(path)).in_distribution == given
