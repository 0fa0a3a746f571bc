"""What tests say that need TensorFlow where it is not installed."""

NO_TRAINING = "TensorFlow is not installed: pip install -e '.[train,soc]'; no wheel for Python 3.14"
