"""What a program wants of a card, whatever its generation."""
