"""Every measurement, one after another."""

from tests.bench import card, relay, trust

if __name__ == "__main__":
    for measure in (card.main, relay.main, trust.main):
        measure()
        print(flush=True)
