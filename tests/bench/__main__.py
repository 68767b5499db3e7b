"""Every measurement, one after another."""

from tests.bench import card, relay

if __name__ == "__main__":
    for measure in (card.main, relay.main):
        measure()
        print(flush=True)
