"""A consumer of forecourt's events: MQTT 5, shared subscription, acknowledged after the commit.

    python consumer.py run --broker mqtt://localhost:1883 --database scrm.db
    python consumer.py report --database scrm.db

Start as many as are needed, each with its own --client-id: the broker shares the events out among the group.
"""

import argparse
import json
import pathlib
import signal
import sys
import urllib.parse

from store import Store

WEEK_S = 7 * 24 * 3600


def main():
    arguments = parse()
    store = Store(arguments.database, arguments.root)
    if arguments.command == "report":
        json.dump(store.report(), sys.stdout, indent=1, ensure_ascii=False)
        return
    run(arguments, store)


def run(arguments, store):
    import paho.mqtt.client as mqtt
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    def on_connect(client, _userdata, _flags, reason, _properties):
        if reason.is_failure:
            print(f"consumer: refused by the broker: {reason}", file=sys.stderr)
            return
        # Every time: the broker may have forgotten the session. State topics are retained and each consumer needs
        # them; a shared subscription gets no retained messages.
        boxes = f"{arguments.root}/+/+/+"
        shared = [f"$share/{arguments.group}/{boxes}/{below}" for below in ("evt/+", "health")]
        client.subscribe([(topic, 1) for topic in (*shared, f"{boxes}/state/online")])

    def on_subscribe(_client, _userdata, _mid, reasons, _properties):
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            sys.exit(f"consumer: the broker refuses the subscription: {refused}")
        print("consumer: subscribed", file=sys.stderr, flush=True)

    def on_message(client, _userdata, message):
        # A failing database raises here and ends the program without an acknowledgement: whoever supervises it
        # starts it again, and the broker sends the message again.
        store.take(message.topic, message.payload)
        client.ack(message.mid, message.qos)

    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=arguments.client_id, protocol=mqtt.MQTTv5, manual_ack=True
    )
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    address = urllib.parse.urlsplit(arguments.broker)
    if arguments.username:
        password = arguments.password_file.read_text(encoding="utf-8").strip() if arguments.password_file else None
        client.username_pw_set(arguments.username, password)
    if address.scheme == "mqtts":
        client.tls_set(arguments.ca, arguments.certificate, arguments.key)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = WEEK_S
    properties.ReceiveMaximum = arguments.receive_maximum
    port = address.port or (8883 if address.scheme == "mqtts" else 1883)
    client.connect_async(address.hostname, port, keepalive=60, clean_start=False, properties=properties)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: client.disconnect())
    client.loop_forever(retry_first_connection=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("--database", default="scrm.db", help="SQLite file or postgresql://…")
    parser.add_argument("--broker", default="mqtt://localhost:1883", help="mqtt://… or mqtts://…")
    parser.add_argument("--root", default="forecourt/v1", help="mqtt.topic_root of the boxes")
    parser.add_argument("--group", default="scrm", help="name of the shared subscription")
    parser.add_argument("--client-id", default="scrm-1", help="stable, one per running consumer")
    parser.add_argument("--receive-maximum", type=int, default=20, help="events on their way at once")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=pathlib.Path)
    parser.add_argument("--ca", help="PEM file of the broker's authority")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    return parser.parse_args()


if __name__ == "__main__":
    main()
