// A consumer of forecourt's events: MQTT 5, shared subscription, acknowledged after the commit.
//
//   node consumer.js run --broker mqtt://localhost:1883 --database scrm.db
//   node consumer.js report --database scrm.db
//
// Start as many as are needed, each with its own --client-id: the broker shares the events out among the group.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import mqtt from "mqtt";
import { Store } from "./store.js";

const WEEK_S = 7 * 24 * 3600;

const text = (value) => ({ type: "string", ...(value && { default: value }) });
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    database: text("scrm.db"), // SQLite file
    broker: text("mqtt://localhost:1883"), // mqtt://… or mqtts://…
    root: text("forecourt/v1"), // mqtt.topic_root of the boxes
    group: text("scrm"), // name of the shared subscription
    "client-id": text("scrm-1"), // stable, one per running consumer
    "receive-maximum": text("20"), // events on their way at once
    username: text(),
    "password-file": text(),
    ca: text(), // PEM file of the broker's authority
    certificate: text(),
    key: text(),
  },
});

const store = new Store(options.database, options.root);
if (positionals[0] === "report") console.log(JSON.stringify(store.report(), null, 1));
else if (positionals[0] === "run") run();
else fail("usage: node consumer.js run|report [--broker …] [--database …]");

function run() {
  const read = (file) => file && readFileSync(file);
  const client = mqtt.connect(options.broker, {
    protocolVersion: 5,
    clientId: options["client-id"],
    clean: false,
    properties: { sessionExpiryInterval: WEEK_S, receiveMaximum: Number(options["receive-maximum"]) },
    username: options.username,
    password: read(options["password-file"])?.toString().trim(),
    ca: read(options.ca),
    cert: read(options.certificate),
    key: read(options.key),
    resubscribe: false, // Done below, each time.
  });

  // The PUBACK is sent when `done` is called without an error. A failing database ends the program without one:
  // whoever supervises it starts it again, and the broker sends the message again.
  client.handleMessage = (packet, done) => {
    try {
      store.take(packet.topic, packet.payload);
    } catch (error) {
      fail(error.stack);
    }
    done();
  };

  client.on("connect", async () => {
    // Every time: the broker may have forgotten the session. State topics are retained and each consumer needs
    // them; a shared subscription gets no retained messages.
    const boxes = `${options.root}/+/+/+`;
    const shared = ["evt/+", "health"].map((below) => `$share/${options.group}/${boxes}/${below}`);
    const granted = await client.subscribeAsync([...shared, `${boxes}/state/online`], { qos: 1 });
    const refused = granted.filter((each) => each.qos > 1);
    if (refused.length) fail(`the broker refuses the subscription: ${JSON.stringify(refused)}`);
    console.error("consumer: subscribed");
  });
  client.on("error", (error) => console.error(`consumer: ${error.message}`));
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => client.end(false, () => process.exit(0)));
}

function fail(words) {
  console.error(`consumer: ${words}`);
  process.exit(1);
}
