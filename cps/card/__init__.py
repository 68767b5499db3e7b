"""What a program wants of a CPS card: `card` says it, `recognise` opens one, `ias` is the CPS3."""
