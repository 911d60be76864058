"""What a Python that a test starts imports first."""

from no_network import refuse

refuse()
