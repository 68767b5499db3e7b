"""What a program wants of a CPS card: `card` says it, `recognise` opens one.

`contact` is the card; `ias` and `chipdoc` are the commands of its generations.
"""
