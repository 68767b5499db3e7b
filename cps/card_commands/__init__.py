"""`cps card`: look at a card, find out why it does not work, change or unblock its PIN."""
