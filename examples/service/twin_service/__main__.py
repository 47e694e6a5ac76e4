"""`python -m twin_service --config service.toml`"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Read the configuration and run; 2 where it cannot be used."""
    # Here and not above: workers import this module again, and are to start fast.
    from physics_twin.errors import PhysicsTwinError
    from twin_service.configuration import read
    from twin_service.service import run

    parser = argparse.ArgumentParser(prog="twin_service", description="Follow a plant with its twins.")
    parser.add_argument("--config", type=Path, default=Path("service.toml"), metavar="TOML")
    parser.add_argument("--check", action="store_true", help="read the configuration, and say whether it can be used")
    given = parser.parse_args()
    try:
        configuration = read(given.config)
        if given.check:
            print(f"{given.config}: {len(configuration.asset)} assets")
            return 0
        return run(configuration)
    except (PhysicsTwinError, OSError) as error:
        print(f"twin_service: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
