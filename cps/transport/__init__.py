"""Ways to a card: `connection` says what one offers; pcsc, replay and trace are such ways."""
