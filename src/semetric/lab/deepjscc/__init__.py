"""DeepJSCC: images straight to channel symbols, by a network trained through the channel.

Importing this imports no torch; `semetric.lab.deepjscc.training` does.
"""

from semetric.lab.deepjscc.config import DeepJsccConfig
from semetric.lab.deepjscc.system import DeepJsccSystem
from semetric.lab.deepjscc.training_config import DeepJsccTraining

__all__ = ["DeepJsccConfig", "DeepJsccSystem", "DeepJsccTraining"]
