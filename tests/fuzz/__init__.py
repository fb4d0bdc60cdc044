"""Hostile input for every public name: what is tried, and when an answer is right.

``values`` holds what is put in the place of a good argument, ``targets`` what is
called, ``judge`` says whether the answer is right. A single case is run again, with its
traceback, by ``PYTHONPATH=tests python -m fuzz "CollisionClusterer.fit(X=nan)"``;
without a case, or with the beginning of one, all are run that begin so, and the wrong
ones are listed by what is wrong with them.
"""
