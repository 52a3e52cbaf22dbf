// A tour of the three services with the npm client azure-storage, of 2016 (0.10) or of 2020 (2.10).
//
//   node node.js DIRECTORY ACCOUNT KEY BLOB-PORT QUEUE-PORT TABLE-PORT
//
// DIRECTORY is where the package is installed. The accounts' host names are taken for this machine's.
"use strict";

const assert = require("assert");
const { createRequire } = require("module");
const dns = require("dns");
const http = require("http");
const { promisify } = require("util");

const [directory, account, key, ...ports] = process.argv.slice(2);
const azure = createRequire(`${directory}/`)("azure-storage");
const services = ["blob", "queue", "table"];
const hosts = services.map((service, number) => `${account}.${service}.core.windows.net:${ports[number]}`);
const [blob, queue, table] = hosts.map((host) => `http://${host}`);
const connection =
  `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};` +
  `BlobEndpoint=${blob};QueueEndpoint=${queue};TableEndpoint=${table}`;

const lookup = dns.lookup;
dns.lookup = (name, options, done) =>
  lookup(name.endsWith(".core.windows.net") ? "127.0.0.1" : name, options, done);

// A service whose methods give promises.
function promised(service) {
  const get = (target, name) => (typeof target[name] === "function" ? promisify(target[name]).bind(target) : target[name]);
  return { raw: service, call: new Proxy(service, { get }) };
}

function get(url) {
  return new Promise((resolve, reject) => {
    http.get(url, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    }).on("error", reject);
  });
}

function inOneHour(permissions) {
  const expiry = new Date(Date.now() + 3600e3);
  return { AccessPolicy: { Permissions: permissions, Start: new Date(Date.now() - 600e3), Expiry: expiry } };
}

async function blobs() {
  const { raw, call } = promised(azure.createBlobService(connection));
  await call.createContainerIfNotExists("things", { publicAccessLevel: "blob" });
  await call.createContainerIfNotExists("things");
  await assert.rejects(call.createContainer("things"), { code: "ContainerAlreadyExists" });
  const listed = await call.listContainersSegmented(null);
  assert.deepStrictEqual(listed.entries.map((one) => one.name), ["things"]);
  await call.createBlockBlobFromText("things", "a/text", "héllo", { metadata: { kind: "test" } });
  assert.strictEqual(await call.getBlobToText("things", "a/text"), "héllo");
  const found = await call.getBlobProperties("things", "a/text");
  assert.strictEqual(found.metadata.kind, "test");
  await call.createBlockFromText("YQ==", "things", "blocks", "one ");
  await call.createBlockFromText("Yg==", "things", "blocks", "two");
  await call.commitBlocks("things", "blocks", { UncommittedBlocks: ["YQ==", "Yg=="] });
  assert.strictEqual(await call.getBlobToText("things", "blocks"), "one two");
  await call.createPageBlob("things", "disk", 4096);
  const ranges = await call.listPageRanges("things", "disk", {});
  assert.strictEqual(ranges.length, 0);
  const names = (await call.listBlobsSegmented("things", null)).entries.map((one) => one.name);
  assert.deepStrictEqual(names, ["a/text", "blocks", "disk"]);
  const lease = await call.acquireLease("things", "disk", { leaseDuration: 15 });
  await assert.rejects(call.deleteBlob("things", "disk"), { code: "LeaseIdMissing" });
  await call.releaseLease("things", "disk", lease.id);
  await call.createBlobSnapshot("things", "a/text");
  await call.startCopyBlob(raw.getUrl("things", "a/text"), "things", "copy");
  assert.strictEqual(await call.getBlobToText("things", "copy"), "héllo");
  await call.setContainerAcl("things", {}, { publicAccessLevel: azure.BlobUtilities.BlobContainerPublicAccessType.OFF });
  const token = raw.generateSharedAccessSignature("things", "copy", inOneHour("r"));
  assert.strictEqual(await get(raw.getUrl("things", "copy", token)), 200);
  assert.ok((await get(raw.getUrl("things", "copy"))) >= 401);
  const reader = promised(azure.createBlobServiceWithSas(blob, token)).call;
  assert.strictEqual(await reader.getBlobToText("things", "copy"), "héllo");
  await assert.rejects(reader.deleteBlob("things", "copy"), { statusCode: 403 });
  await call.deleteBlob("things", "a/text", { deleteSnapshots: azure.BlobUtilities.SnapshotDeleteOptions.BLOB_AND_SNAPSHOTS });
  const properties = await call.getServiceProperties();
  properties.Cors = { CorsRule: [{ AllowedOrigins: ["*"], AllowedMethods: ["GET"], AllowedHeaders: [], ExposedHeaders: [], MaxAgeInSeconds: 60 }] };
  await call.setServiceProperties(properties);
  assert.strictEqual((await call.getServiceProperties()).Cors.CorsRule.length, 1);
  await call.deleteContainer("things");
}

async function queues() {
  const { raw, call } = promised(azure.createQueueService(connection));
  await call.createQueueIfNotExists("jobs");
  await call.createMessage("jobs", "first & <second>");
  // 2.10 has other names for some operations.
  const [peek, fetch] = raw.peekMessages ? ["peekMessages", "getMessages"] : ["peekMessage", "getMessage"];
  assert.strictEqual((await call[peek]("jobs")).length, 1);
  const [message] = await call[fetch]("jobs", { visibilityTimeout: 60, visibilitytimeout: 60 });
  const text = message.messagetext || message.messageText;
  assert.strictEqual(text, "first & <second>");
  const [id, receipt] = [message.messageid || message.messageId, message.popreceipt || message.popReceipt];
  const updated = await call.updateMessage("jobs", id, receipt, 0, { messagetext: "changed", messageText: "changed" });
  await call.deleteMessage("jobs", id, updated.popreceipt || updated.popReceipt);
  await call.createMessage("jobs", "again");
  await call.clearMessages("jobs");
  const listed = await call.listQueuesSegmented(null);
  assert.deepStrictEqual(listed.entries.map((one) => one.name), ["jobs"]);
  const token = raw.generateSharedAccessSignature("jobs", inOneHour("a"));
  const sender = promised(azure.createQueueServiceWithSas(queue, token)).call;
  await sender.createMessage("jobs", "signed");
  await assert.rejects(sender.deleteQueue("jobs"), { statusCode: 403 });
  await call.deleteQueue("jobs");
}

async function tables() {
  const { raw, call } = promised(azure.createTableService(connection));
  const { String: text, Int32: int32, Int64: int64, DateTime: date, Boolean: bool, Double: real } = azure.TableUtilities.entityGenerator;
  await call.createTableIfNotExists("entities");
  await call.createTableIfNotExists("entities");
  const when = new Date(Date.UTC(2015, 4, 5));
  const entity = {
    PartitionKey: text("p"), RowKey: text("it's 1"), text: text("téxt"), small: int32(1), large: int64("1099511627776"),
    when: date(when), yes: bool(true), real: real(1.5),
  };
  await call.insertEntity("entities", entity);
  await assert.rejects(call.insertEntity("entities", entity), { code: "EntityAlreadyExists" });
  const found = await call.retrieveEntity("entities", "p", "it's 1");
  assert.strictEqual(found.text._, "téxt");
  assert.strictEqual(String(found.large._), "1099511627776");
  assert.strictEqual(new Date(found.when._).getTime(), when.getTime());
  await call.mergeEntity("entities", { PartitionKey: text("p"), RowKey: text("it's 1"), more: text("yes") });
  assert.strictEqual((await call.retrieveEntity("entities", "p", "it's 1")).more._, "yes");
  await call.insertOrReplaceEntity("entities", { PartitionKey: text("p"), RowKey: text("2"), number: int32(2) });
  await call.insertOrMergeEntity("entities", { PartitionKey: text("p"), RowKey: text("2"), text: text("two") });
  const query = new azure.TableQuery().where("PartitionKey eq ? and number eq ?int32?", "p", 2);
  const { entries } = await call.queryEntities("entities", query, null);
  assert.deepStrictEqual(entries.map((one) => one.RowKey._), ["2"]);
  const first = await call.queryEntities("entities", new azure.TableQuery().top(1), null);
  const second = await call.queryEntities("entities", new azure.TableQuery(), first.continuationToken);
  assert.deepStrictEqual([first.entries.length, second.entries.length], [1, 1]);
  const batch = new azure.TableBatch();
  for (const number of [1, 2, 3]) batch.insertEntity({ PartitionKey: text("batch"), RowKey: text(String(number)) });
  await call.executeBatch("entities", batch);
  const token = raw.generateSharedAccessSignature("entities", inOneHour("r"));
  const reader = promised(azure.createTableServiceWithSas(table, token)).call;
  assert.strictEqual((await reader.queryEntities("entities", new azure.TableQuery().where("PartitionKey eq 'batch'"), null)).entries.length, 3);
  await assert.rejects(reader.deleteEntity("entities", { PartitionKey: text("p"), RowKey: text("2") }), { statusCode: 403 });
  await call.deleteEntity("entities", { PartitionKey: text("p"), RowKey: text("2") });
  await call.deleteTable("entities");
}

blobs()
  .then(queues)
  .then(tables)
  .then(() => console.log("toured"))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
