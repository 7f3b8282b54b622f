"""`make kafka`: Apache Kafka on this machine, for development, until Ctrl-C. The data stays in `target/broker`."""

from __future__ import annotations

import asyncio
import signal

from apache_kafka.artifacts import FOLDER, Unavailable, version
from apache_kafka.broker import LONG_LIFE, RealKafka
from local_stack.ports import LOOPBACK, in_use

PORT = 9092


async def run() -> None:
    """Keep one broker until a signal comes. Raises Unavailable."""
    kafka = RealKafka(FOLDER / "target" / "broker", PORT, LONG_LIFE)
    stopping = asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(which, stopping.set)
    try:
        await kafka.start()
        print(
            f"Apache Kafka {version()} at {kafka.bootstrap}. Use it: KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap} make run",
            flush=True,
        )
        await stopping.wait()
    finally:
        await kafka.stop()


def main() -> None:
    """Run the broker; exit with one line when it cannot be run."""
    if in_use(LOOPBACK, PORT):
        raise SystemExit(f"sayso: kafka: port {PORT} is in use")
    try:
        asyncio.run(run())
    except Unavailable as error:
        raise SystemExit(f"sayso: kafka: {error}") from None


if __name__ == "__main__":
    main()
