// Between the messages of the contract and plain JavaScript.

import { createRegistry, type DescMessage, fromJsonString, type JsonObject, type Message, type MessageShape, toJson } from '@bufbuild/protobuf';

import { file_comet_taskrunner_v1_task_runner, type Job } from './gen/comet/taskrunner/v1/task_runner_pb.js';

const CONTRACT = createRegistry(file_comet_taskrunner_v1_task_runner);

/** A message as JSON holds it: enums by their words, times as RFC 3339, 64-bit numbers as strings. */
export function plain(message: Message): JsonObject {
  const schema = CONTRACT.getMessage(message.$typeName);
  if (!schema) throw new TypeError(`${message.$typeName} is no message of this contract`);
  return toJson(schema, message, { alwaysEmitImplicit: true, registry: CONTRACT }) as JsonObject;
}

/** What the page, or a service on its behalf, reported with the end of its task. Unset when there was nothing. */
export function resultOf(job: Job): unknown {
  const result = job.callback?.result ?? '';
  return result === '' ? undefined : JSON.parse(result);
}

/** A request from its JSON form; a TypeError names what no request has. */
export function asked<Schema extends DescMessage>(schema: Schema, json: object): MessageShape<Schema> {
  try {
    return fromJsonString(schema, JSON.stringify(json));
  } catch (error) {
    throw new TypeError((error as Error).message, { cause: error });
  }
}

export function durationMs(duration: { seconds: bigint; nanos: number }): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
