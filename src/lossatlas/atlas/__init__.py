"""What is kept: scenes with their nodes, spectra, paths, views and notes, in one file."""

from lossatlas.atlas.atlas import Atlas, borrowed, check_path, identity_of, open_atlas
from lossatlas.atlas.file import AtlasFile
from lossatlas.atlas.layers import Subject
from lossatlas.atlas.nodes import StoredNodes
from lossatlas.atlas.scenes import SceneRow

__all__ = [
    "Atlas",
    "AtlasFile",
    "SceneRow",
    "StoredNodes",
    "Subject",
    "borrowed",
    "check_path",
    "identity_of",
    "open_atlas",
]
