"""The networks that ship with the project, as `models.training` made them."""

from pathlib import Path

from models.zoo.cache import ZooError, digest

_FOLDER = Path(__file__).parent / "files"
_CHECKSUMS = {
    "lenet5": "e2b8b3530af3082cc79871a2b23a6f0025383e88dd9e35b91fcbf1718610b25d",
    "lenet5_pruned30": "02f5db675de2f90df069f37ceb0dfa1f528070152e80467096ecc8916efdfdf1",
    "lenet5_pruned10": "155f44d21cd894ce45ec68998a60bf5895e94b7adccfd65b2ac048b795649fdd",
    "resnet8_pruned50": "d1deb1aff499cbdb39ddaacf06f60826c7ad142232fb44e5ac73de04b71b7958",
    "resnet8_pruned35": "ae243a222ed03289d176d369208d16a751d2df1a4c65966bb72c117ec2f84ed1",
    "resnet8_pruned25": "386856d44ec9428d22098644251a168ac3c3dcf250958d4c046432123648dd96",
    "lenet300_csc12": "2e982b2b8de5ec13d0d3b0a57ae46c505804953f82d2916767cd30206c88dd40",
    "lenet300_csc21": "6f7b01c3dbc72ea2f0dc417e496d99dc88e383f6870f5d4ed67cf7aec5fcf401",
    "lenet300_csc46": "7b6e3d93034499012c8650d52d9903cfc44bdbda237e1b9d82783c80a8ed9940",
    "cifar_csc3": "38c3f39dd252f46223c46bdeb05a8aefc4a11c9172c83f50facc1a6819640625",
    "cifar_csc6": "458a66807eb9f16a73e84590e794c746791e64d92e46a2d7d9134ec0e4a90cf7",
}


def names() -> tuple[str, ...]:
    """The networks' names."""
    return tuple(_CHECKSUMS)


def file(name: str) -> Path:
    """The file of one of `names`; raises ZooError if it is not there or its SHA-256 differs."""
    path = _FOLDER / f"{name}.onnx"
    if not path.is_file() or digest(path.read_bytes()) != _CHECKSUMS[name]:
        raise ZooError(f"{path} is not the file that ships with Skipstone: install Skipstone again")
    return path
