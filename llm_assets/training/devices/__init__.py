"""The devices that a process trains on: which there are, how several share the work, how they stop together.

here()                 the devices of this process
Stop                   stopping at the same step on all of them
loading_arguments()    where a model that is only used is placed
"""

from llm_assets.training.devices.here import Devices, Kind, Sharding, here
from llm_assets.training.devices.placement import loading_arguments
from llm_assets.training.devices.stopping import Stop

__all__ = ["Devices", "Kind", "Sharding", "Stop", "here", "loading_arguments"]
