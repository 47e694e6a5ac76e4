"""Measured data sets that are too large to carry along: fetched once, checked by hash, never guessed.

`load("tclab").path("mimo_1s_600.csv")` is a file on this computer. It comes from the folder that the environment
variable PHYSICS_TWIN_DATA names (laid out `<name>/<file>`; then the network is never asked), else from the cache of
this user, else from the place of publication at a fixed commit. Whichever it is, its sha256 is the one below.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from physics_twin.errors import DataError, unknown_name

__all__ = ["Dataset", "load", "names"]

VARIABLE = "PHYSICS_TWIN_DATA"
_TIMEOUT = 20.0  # seconds without an answer: a firewall that swallows packets must not hang a test run


@dataclass(frozen=True)
class _Entry:
    """files: name -> (sha256, path below `base`; None where the file was never published as such)."""

    title: str
    licence: str
    citation: str
    source: str
    files: Mapping[str, tuple[str, str | None]]
    base: str | None


@dataclass(frozen=True)
class Dataset:
    """A data set: name and title, files, licence and citation to give, and the source it was taken from."""

    name: str
    title: str
    files: tuple[str, ...]
    licence: str
    citation: str
    source: str

    def path(self, file: str) -> Path:
        """Return a file of the set on this computer, its hash checked.

        Raises UnknownNameError for a name that is not among `files`; DataError when the file cannot be had (it says
        what to set) or is damaged (it gives both hashes).
        """
        entry = _ENTRIES[self.name]
        if file not in entry.files:
            raise unknown_name(f'file of the data set "{self.name}"', file, entry.files)
        known_hash, where = entry.files[file]
        folder = os.environ.get(VARIABLE)
        if folder:
            return _checked(Path(folder) / self.name / file, known_hash, self.name)
        if where is None or entry.base is None:
            raise DataError(
                f'the data set "{self.name}" was never published as files; set {VARIABLE} to a folder that holds '
                f"{self.name}/{file} ({self.source})"
            )
        return _fetched(self.name, file, known_hash, entry.base + where)

    def __str__(self) -> str:
        """Return name, title, files, licence and citation."""
        return (
            f"{self.name}: {self.title}\n  files: {', '.join(self.files)}\n  licence: {self.licence}\n"
            f"  cite: {self.citation}\n  source: {self.source}"
        )


def names() -> tuple[str, ...]:
    """Return the names of all data sets.

    >>> "tclab" in names()
    True
    """
    return tuple(_ENTRIES)


def load(name: str) -> Dataset:
    """Return a data set; files are fetched when they are asked for. Raises UnknownNameError with the nearest name.

    >>> load("tclab").licence.split()[0]
    'Apache-2.0'
    """
    if name not in _ENTRIES:
        raise unknown_name("data set", name, _ENTRIES)
    entry = _ENTRIES[name]
    return Dataset(name, entry.title, tuple(entry.files), entry.licence, entry.citation, entry.source)


def _checked(path: Path, known_hash: str, name: str) -> Path:
    import pooch

    if not path.is_file():
        raise DataError(
            f'the data set "{name}" is not in the folder that {VARIABLE} names: there is no {path}; put it there, or '
            f"unset {VARIABLE} to fetch it from the network"
        )
    found = pooch.file_hash(str(path), alg="sha256")
    if found != known_hash:
        raise DataError(
            f"{path} is damaged or was changed: its sha256 is {found}, and {known_hash} is expected; replace the file"
        )
    return path


def _fetched(name: str, file: str, known_hash: str, url: str) -> Path:
    import pooch

    # Without this pooch announces every download on stderr; the library does not print.
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(
        path=pooch.os_cache("physics_twin") / name, base_url="", registry={file: known_hash}, urls={file: url}
    )
    try:
        return Path(store.fetch(file, downloader=pooch.HTTPDownloader(timeout=_TIMEOUT)))
    except ValueError as error:  # the hash; pooch's message names both
        raise DataError(f"{url} is not the file that it was: {error}") from error
    except OSError as error:  # what requests raises is one as well
        raise DataError(
            f'the data set "{name}" is not on this computer and {url} cannot be reached; set {VARIABLE} to a folder '
            f"that holds {name}/{file}, or connect to the network ({type(error).__name__})"
        ) from error


_ENTRIES: Mapping[str, _Entry] = {
    "dic_plate_hole": _Entry(
        title=("full-field displacements of a steel plate with a hole under tension (digital image correlation)"),
        licence="CC-BY-4.0",
        citation="Troger, Hartmann, Anton, Wessels: data set, Zenodo, doi:10.5281/zenodo.11257192",
        source=(
            ""
            "github.com/shubhamthedev/Full-Field-Data-Driven-Material-Parameter-Estimation-in-Linear-Elasticity "
            "at 51c30e4"
        ),
        files={
            "20231116_displacements_interpolated.csv": (
                "f08a5afe21585c866397784600d1fc99e9669f14df80e7f0571b8851e35f9228",
                "20231116_displacements_interpolated.csv",
            ),
            "20231116_displacements_raw.csv": (
                "999717175a6825c79be1f2d124159395cd8a4563f60ca3570c64648e75cad4cb",
                "20231116_displacements_raw.csv",
            ),
            "LICENSE.upstream": ("a2010f343487d3f7618affe54f789f5487602331c0a8d03f49e9a7c547cf0499", "LICENSE"),
        },
        base="https://raw.githubusercontent.com/shubhamthedev/Full-Field-Data-Driven-Material-Parameter-Estimation-in-Linear-Elasticity/51c30e4/",
    ),
    "literature_kinetics": _Entry(
        title=(
            "alpha-pinene isomerization, catalytic cracking of gas oil, methanol to hydrocarbons: "
            "concentrations over time"
        ),
        licence="MIT",
        citation=(
            "Fuguitt and Hawkins, J. Am. Chem. Soc. 69 (1947) 319; Box, Hunter, MacGregor and Erjavec, "
            "Technometrics 15 (1973) 33; Dolan, Moré and Munson, COPS 3.0 (2004)"
        ),
        source="typed from the arrays in github.com/MadNLP/COPSBenchmark.jl at 867802f",
        files={
            "LICENSE.upstream": ("3d331e3271ab26307177f3b47b322c5da416b961962aabc3ddf9edcb74fe6091", None),
            "alpha_pinene.csv": ("f0837b9260fd700fbcf0843ea4acab974ec73c4a84901561fd289673d3824de0", None),
            "gas_oil_cracking.csv": ("4d588fdc889042a9715241e16e197ae4d07f8697083900e56a08cc265da7f458", None),
            "methanol_to_hydrocarbons.csv": ("e97e2fae83fb3adc217f8571867cbbbf23f4931cb70ba751fed69102f4cad375", None),
        },
        base=None,
    ),
    "macfp_pmma_capa": _Entry(
        title="gasification of PMMA slabs under 25 and 60 kW/m2: mass loss rate and temperature of the back",
        licence="MIT",
        citation="MaCFP Condensed Phase Working Group, Material Database, University of Maryland CAPA II (PMMA)",
        source="github.com/MaCFP/matl-db at 14b73ea, PMMA/Calibration_Data/UMD",
        files={
            "LICENSE.upstream": ("fc5693f68e489dabdc231c86e066a9b4fe9bde0f2d1817fca0a3649cde1ac7e7", "LICENSE"),
            "UMD_CAPA_25kW_Mass.csv": (
                "7de51f4f360c20556421170a302e0c241afcb75d6fc01a36cda3dc8fbdda1cb7",
                "PMMA/Calibration_Data/UMD/UMD_CAPA_25kW_Mass.csv",
            ),
            "UMD_CAPA_25kW_Temp.csv": (
                "19c222367b35e7cda4278341d3853e1938d33e61b9964ff8b19b9a7387bbb464",
                "PMMA/Calibration_Data/UMD/UMD_CAPA_25kW_Temp.csv",
            ),
            "UMD_CAPA_60kW_Mass.csv": (
                "e22227819cdc2b47b83d069bf3786bb1595ac0456d53d33f02fc8271d6dbe4f5",
                "PMMA/Calibration_Data/UMD/UMD_CAPA_60kW_Mass.csv",
            ),
            "UMD_CAPA_60kW_Temp.csv": (
                "764934ca2208208186a53cd637572c493cb01d9610cf95d767c84a8a762317cb",
                "PMMA/Calibration_Data/UMD/UMD_CAPA_60kW_Temp.csv",
            ),
        },
        base="https://raw.githubusercontent.com/MaCFP/matl-db/14b73ea/",
    ),
    "macfp_pmma_kinetics": _Entry(
        title="thermogravimetry and calorimetry of PMMA in nitrogen, 3 to 30 K/min, two laboratories",
        licence="MIT",
        citation="MaCFP Condensed Phase Working Group, Material Database, NIST and FSRI (PMMA)",
        source="github.com/MaCFP/matl-db at 14b73ea, PMMA/Calibration_Data/NIST and FSRI",
        files={
            "FSRI_TGA_N2_10K_1.csv": (
                "26c8d8397f19a46a87ec4497ef4bd3f56d43b387152b565c7602ab5190e87210",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_10K_1.csv",
            ),
            "FSRI_TGA_N2_10K_2.csv": (
                "6f67c4fffb36f2f8c7c6adc2da570e159c0bcc6e5c3adfaaa8e8df5cdc04c97c",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_10K_2.csv",
            ),
            "FSRI_TGA_N2_10K_3.csv": (
                "145239bd690128a14dd9cba2dea6509b73423876f03bf12c29031a7a26333563",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_10K_3.csv",
            ),
            "FSRI_TGA_N2_20K_1.csv": (
                "84e015b3adb2f71711162f374e7693e801b6ec78be25915dc14e41e5346b9a5f",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_20K_1.csv",
            ),
            "FSRI_TGA_N2_20K_2.csv": (
                "43c323373026815714eba4585fe5d36dafb52ba428816299ddaccd1dc125f0a0",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_20K_2.csv",
            ),
            "FSRI_TGA_N2_20K_3.csv": (
                "2e51c980ac1c81c9204ec19bf4c265360f10ed457b6c75b67011cf3a052028f3",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_20K_3.csv",
            ),
            "FSRI_TGA_N2_30K_1.csv": (
                "ca994585b48ae8c6301ad61cd0dc1e22a5990116fe993ed3d9a2655ec79737cd",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_30K_1.csv",
            ),
            "FSRI_TGA_N2_30K_2.csv": (
                "01a1d4957c40afdd195fee03598b95cf7d0c69c7caeb8f953d82b2d9227a1051",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_30K_2.csv",
            ),
            "FSRI_TGA_N2_30K_3.csv": (
                "be286b4079ddee4a39a28eff0da49a0f8381c15c92653b79e7ad50a53eb04b71",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_30K_3.csv",
            ),
            "FSRI_TGA_N2_3K_1.csv": (
                "f3a8e02046edb5427f337d1fe4e946282e32b31531a8500fac1dfc009deb1396",
                "PMMA/Calibration_Data/FSRI/FSRI_TGA_N2_3K_1.csv",
            ),
            "LICENSE.upstream": ("fc5693f68e489dabdc231c86e066a9b4fe9bde0f2d1817fca0a3649cde1ac7e7", "LICENSE"),
            "NIST_DSC_N2_10K_1.csv": (
                "7171f0274a3254f9c48120eb98d635bc7ffe35d844ba12b7e1200f8963b8e887",
                "PMMA/Calibration_Data/NIST/NIST_DSC_N2_10K_1.csv",
            ),
            "NIST_DSC_N2_10K_2.csv": (
                "39d6e43ec4aae4bce678de85bb0af9971b92690eaacea7b511ccb953421ecaff",
                "PMMA/Calibration_Data/NIST/NIST_DSC_N2_10K_2.csv",
            ),
            "NIST_DSC_N2_10K_3.csv": (
                "bd130ac1b0443c21018d4450e89a55fed043a34067e809722811122c9354dbdf",
                "PMMA/Calibration_Data/NIST/NIST_DSC_N2_10K_3.csv",
            ),
            "NIST_DSC_N2_10K_4.csv": (
                "f5ce9c4325d60cdf82e3bd94fd97d073869324713800741d8ffec7cdbbc8f97a",
                "PMMA/Calibration_Data/NIST/NIST_DSC_N2_10K_4.csv",
            ),
            "NIST_DSC_N2_10K_5.csv": (
                "1f2c317f779dc8d855f7cb24f12e802443c494fd4235b68621005a831e113fee",
                "PMMA/Calibration_Data/NIST/NIST_DSC_N2_10K_5.csv",
            ),
            "NIST_TGA_N2_10K_1.csv": (
                "f115060ccd053bdc37d50a94c5c541d9e7ba9bbabda10f0b9b7449dc516750ad",
                "PMMA/Calibration_Data/NIST/NIST_TGA_N2_10K_1.csv",
            ),
            "NIST_TGA_N2_10K_2.csv": (
                "76efba45b4a44270c5665b8b46f1de5975c0ca831a1deacc56bc6edfd7afcdd7",
                "PMMA/Calibration_Data/NIST/NIST_TGA_N2_10K_2.csv",
            ),
            "NIST_TGA_N2_10K_3.csv": (
                "a615c1900c91b6ffd178f7adbaf62c1b19a55257d656a7e2db474a9358299108",
                "PMMA/Calibration_Data/NIST/NIST_TGA_N2_10K_3.csv",
            ),
            "NIST_TGA_N2_10K_4.csv": (
                "c54dec1e62b754e43f672c8b8528e092858f1556ba269e550fb08c974125ec16",
                "PMMA/Calibration_Data/NIST/NIST_TGA_N2_10K_4.csv",
            ),
            "NIST_TGA_N2_10K_5.csv": (
                "8e58a6bca448b88060220fd8b482e24e8b3268e851e42d5cb7e2c458bb7ce31b",
                "PMMA/Calibration_Data/NIST/NIST_TGA_N2_10K_5.csv",
            ),
        },
        base="https://raw.githubusercontent.com/MaCFP/matl-db/14b73ea/",
    ),
    "tclab": _Entry(
        title="temperature control lab: two heaters and two sensors on a small board, three runs",
        licence="Apache-2.0 (mimo_1s_600.csv, mhe_3s_200.csv), MIT (siso_1s_601.csv)",
        citation="APMonitor (J. D. Hedengren), Temperature Control Lab",
        source="github.com/APMonitor/arduino at f36e65a and github.com/APMonitor/pds at 3936dd1",
        files={
            "LICENSE.upstream": (
                "b40930bbcf80744c86c46a12bc9da056641d722716c378f5659b9e555ef833e1",
                "arduino/f36e65a/LICENSE",
            ),
            "LICENSE.upstream.pds": (
                "16c1fb592e294bc312a2f927474a399049b7e688876256d095ad9081ae9d4dbf",
                "pds/3936dd1/LICENSE",
            ),
            "mhe_3s_200.csv": (
                "b69a0a9577374b38392f26962a290749299f9bd6e9c98851f6a016275cd94e2c",
                "arduino/f36e65a/5_Moving_Horizon_Estimation/2nd_order_nonlinear/MATLAB/data.txt",
            ),
            "mimo_1s_600.csv": (
                "10278caee2b095cca028e19acd9146157a75cdd8426e0490231de7a9def8ebdc",
                "arduino/f36e65a/2_Regression/Energy_balance_MIMO/Python_minimize/data.txt",
            ),
            "siso_1s_601.csv": (
                "eb5eb590d99c249862fc0c422712650e3eaa83e98c19101570a258eb80d294cd",
                "pds/3936dd1/Solutions/TCLab_data.csv",
            ),
        },
        base="https://raw.githubusercontent.com/APMonitor/",
    ),
}
