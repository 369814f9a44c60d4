"""The same loop over time as in ``scan.py``, faster: ``choice.py`` says which of them runs, and why."""
