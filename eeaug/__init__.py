"""eeaug: early exits for trained Keras classifiers, split over the processors of a target.

The order of the pipeline is the order of imports (tests/test_architecture.py holds it):

errors → hardware → keras_files → model → data → graph → cost → locations → features → heads →
cascade → thresholds → search → partition → runtime → export → report → pipeline → cli
"""

__version__ = "0.1.0"
