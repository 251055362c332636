"""One check a file. Each is a function of the proposal alone; `policies/gate.py` has them in order."""
