"""DeepJSCC: images straight to channel symbols, by a network trained through the channel.

Importing this imports no torch; making a system or starting a training does.
"""

from semetric.lab.deepjscc.config import DeepJsccConfig
from semetric.lab.deepjscc.system import DeepJsccSystem
from semetric.lab.deepjscc.training import Progress, Training, train
from semetric.lab.deepjscc.training_config import TrainingConfig

__all__ = ["DeepJsccConfig", "DeepJsccSystem", "Progress", "Training", "TrainingConfig", "train"]
