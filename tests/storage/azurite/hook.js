// Loaded by mocha before Azurite's tests: where they ask for a server of Azurite, they get one of ours.
"use strict";

const { spawn } = require("child_process");
const { mkdtempSync, rmSync } = require("fs");
const Module = require("module");
const { tmpdir } = require("os");
const { join } = require("path");

const PORTS = { blob: 11000, queue: 11001, table: 11002 };
const TLS = ["--tls", "tests/server.cert", "tests/server.key"];

class Server {
  constructor(service, tls) {
    this.config = { host: "127.0.0.1", port: PORTS[service] };
    this.arguments = [service, String(PORTS[service]), ...(tls ? TLS : [])];
  }

  async start() {
    this.directory ??= mkdtempSync(join(tmpdir(), "reddog-azurite-"));
    const script = join(__dirname, "serve.py");
    const options = { stdio: ["pipe", "pipe", "inherit"] };
    this.process = spawn(process.env.REDDOG_PYTHON, [script, this.directory, ...this.arguments], options);
    await new Promise((resolve, reject) => {
      this.process.stdout.once("data", resolve);
      this.process.once("exit", () => reject(new Error("The storage service ended before it was ready.")));
    });
  }

  async close() {
    if (this.process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stdin.end();
    await ended;
  }

  async clean() {
    rmSync(this.directory, { recursive: true, force: true });
    this.directory = undefined;
  }

  getHttpServerAddress() {
    return `http://${this.config.host}:${this.config.port}`;
  }
}

class BlobFactory {
  createServer(loose, skipApiVersionCheck, https) {
    return new Server("blob", https);
  }
}

class QueueFactory {
  createServer(params) {
    return new Server("queue", params.https);
  }
}

class TableFactory {
  static inMemoryPersistence() {
    return true; // there is no file of Azurite's to be copied
  }

  createServer(params) {
    return new Server("table", params.https);
  }
}

const FACTORIES = { Blob: BlobFactory, Queue: QueueFactory, Table: TableFactory };
const load = Module._load;

Module._load = function (request, ...others) {
  const found = /(Blob|Queue|Table)TestServerFactory$/.exec(request);
  return found ? { __esModule: true, default: FACTORIES[found[1]] } : load.call(this, request, ...others);
};
