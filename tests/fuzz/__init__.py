"""Hostile input for every public name: what is tried, and when an answer is right.

``values`` holds what is put in the place of a good argument, ``targets`` what is
called, ``judge`` says whether the answer is right. A single case is run again, with its
traceback, by

    PYTHONPATH=tests python -m fuzz "CollisionClusterer.fit(X=one_nan)"

With a regular expression all cases are run of the targets whose names begin so, and the
wrong ones listed by what is wrong with them; a number after it adds so many pairs of
bad arguments of every target.
"""
