// Renders docs/api.md: the contract as one page to read and to link to. `proto/check.sh --write` runs it.
//
// Takes the descriptors as `buf build -o -#format=json` gives them on standard input; prints the page. Knows nothing of
// what the contract says, but for the form of its comments: paragraphs, one of them perhaps a list of errors.
import { readFileSync } from 'node:fs';

const PACKAGE = 'comet.taskrunner.v1';
/** Where the page lies, seen from there: links out of it. */
const CONTRACT = '../proto/comet/taskrunner/v1/task_runner.proto';
const WELL_KNOWN = 'https://protobuf.dev/reference/protobuf/google.protobuf/#';

/** Field numbers of google/protobuf/descriptor.proto, of which the paths of comments consist. */
const AT = { messages: 4, enums: 5, services: 6, fields: 2, nested: 3, nestedEnums: 4, values: 2, methods: 2, oneofs: 8 };

const file = JSON.parse(readFileSync(0, 'utf8')).file.find((each) => each.package === PACKAGE);
const comments = new Map(file.sourceCodeInfo.location.map((each) => [String(each.path ?? ''), each.leadingComments ?? '']));
const header = file.sourceCodeInfo.location.find((each) => String(each.path) === '12').leadingComments;

/** What can be linked to, by its name in the contract, as `Job`, `Job.Status` or `Execute`. */
const anchors = new Map();
/** Fields and values by `Job.files` or `Job.Status.DONE`: their words link to what holds them. */
const members = new Map();

function collect(messages, enums, before, path, at) {
  const types = [];
  for (const [index, message] of messages.entries()) {
    const here = [...path, at.messages, index];
    const name = before + message.name;
    const inner = collect(message.nestedType ?? [], message.enumType ?? [], `${name}.`, here, { messages: AT.nested, enums: AT.nestedEnums });
    const isMap = (type) => type.message.options?.mapEntry === true;
    const maps = new Map(inner.filter((type) => type.message && isMap(type)).map((type) => [`.${PACKAGE}.${type.name}`, type.message]));
    types.push({ name, message, path: here, maps, inner: inner.filter((type) => !type.message || !isMap(type)) });
  }
  for (const [index, enumeration] of enums.entries()) {
    types.push({ name: before + enumeration.name, enumeration, path: [...path, at.enums, index], inner: [] });
  }
  return types;
}

function register(types) {
  for (const type of types) {
    addAnchor(type.name);
    for (const { name } of type.message?.field ?? type.enumeration?.value ?? []) members.set(`${type.name}.${name}`, type.name);
    register(type.inner);
  }
}

/** A heading's anchor is made of its letters alone; two of the same would make the second unreachable. */
function addAnchor(name) {
  const anchor = name.toLowerCase().replaceAll('.', '');
  if ([...anchors.values()].includes(anchor)) throw new Error(`two headings would have the anchor #${anchor}: ${name}`);
  anchors.set(name, anchor);
}

// ---- words

const paragraphs = (comment) =>
  comment.split('\n\n').map((text) => text.split('\n').map((line) => line.trim()).join(' ').trim()).filter(Boolean);

/** Links names of the contract, sets code as code, and keeps what Markdown or HTML would take for its own. */
function prose(text) {
  return text.split(/(`[^`]*`)/).map((part, index) => (index % 2 ? part : plain(part))).join('');
}

/** What is looked at in a sentence; the first that fits counts. */
const WORDS = new RegExp([
  /"[^" ]*[.:<#&][^" ]*"/, // "net::ERR_ABORTED", "#ctr=<task_id>": what is typed as it stands there
  /\[[^\]]*\](?=[,.])/, // [a-z], a set of characters
  /[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+/, // Job.files, google.rpc.BadRequest
  /[a-z]\w*_\w+/, // task_id
  /[A-Z]\w*/, // RUNNING, WatchJob, and where a sentence begins
  /[<>*|]/, // signs of Markdown and of HTML
].map((word) => word.source).join('|'), 'g');

function plain(text) {
  return text.replace(WORDS, (word) => {
    const known = link(word);
    if (known) return known;
    if (/["[._]/.test(word) || values.has(word) || CODES.has(word)) return code(word);
    return { '<': '&lt;', '>': '&gt;', '*': '\\*', '|': '\\|' }[word] ?? word;
  });
}

/** As code, without the quotes that it had for want of that. */
const code = (word) => `\`${word.replace(/^"(.*)"$/, '$1').replaceAll('|', '\\|')}\``;

/** Codes of gRPC that have no underscore. */
const CODES = new Set(['OK', 'UNAVAILABLE', 'UNAUTHENTICATED']);

/** A name that cannot be a word of the language: with a dot, or of several words. */
function link(word) {
  if (!/\.|[a-z][A-Z]/.test(word)) return undefined;
  const holder = anchors.has(word) ? word : members.get(word) ?? members.get(`${nested.get(word.split('.')[0])}.${word.split('.')[1]}`);
  return holder && `[${code(word)}](#${anchors.get(holder)})`;
}

/** "A (B, C), D, and E (F)" at its outer commas. */
function split(text) {
  const parts = [''];
  let depth = 0;
  for (const char of text) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (char === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts.map((part) => part.trim().replace(/^and /, ''));
}

function block(paragraph) {
  const errors = /^Errors: (.*?)\.?$/.exec(paragraph);
  if (errors) return ['Errors:', '', ...split(errors[1]).map((each) => `- ${prose(each)}`)].join('\n');
  if (paragraph.startsWith('1. ')) return paragraph.split(/ (?=\d+\. [A-Z])/).map(prose).join('\n');
  return prose(paragraph);
}

const blocks = (path) => paragraphs(comments.get(String(path)) ?? '').map(block);
const cell = (path) => paragraphs(comments.get(String(path)) ?? '').map(prose).join('<br>');

// ---- what is there

const SCALARS = { TYPE_DOUBLE: 'double', TYPE_FLOAT: 'float', TYPE_INT64: 'int64', TYPE_UINT64: 'uint64', TYPE_INT32: 'int32', TYPE_UINT32: 'uint32', TYPE_BOOL: 'bool', TYPE_STRING: 'string', TYPE_BYTES: 'bytes' };

/** As a link; one that is declared within its holder needs no more than its own name. */
function nameOf(field, holder = '') {
  if (!field.typeName) {
    if (!SCALARS[field.type]) throw new Error(`no word for ${field.type}`);
    return SCALARS[field.type];
  }
  const known = /^\.google\.protobuf\.(\w+)$/.exec(field.typeName);
  if (known) return `[${known[1]}](${WELL_KNOWN}${known[1].toLowerCase()})`;
  const name = field.typeName.slice(PACKAGE.length + 2);
  const short = name.startsWith(`${holder}.`) ? name.slice(holder.length + 1) : name;
  return `[${short}](#${anchors.get(name)})`;
}

function typeOf(type, field) {
  const entry = type.maps.get(field.typeName);
  if (entry) return `map of ${nameOf(entry.field[0])} to ${nameOf(entry.field[1])}`;
  if (field.label === 'LABEL_REPEATED') return `repeated ${nameOf(field, type.name)}`;
  return `${field.proto3Optional ? 'optional ' : ''}${nameOf(field, type.name)}`;
}

function fields(type) {
  const rows = ['| field | type | |', '|---|---|---|'];
  const told = new Set();
  for (const [index, field] of (type.message.field ?? []).entries()) {
    const choice = field.oneofIndex !== undefined && !field.proto3Optional ? field.oneofIndex : undefined;
    if (choice !== undefined && !told.has(choice)) {
      told.add(choice);
      rows.push(`| *${type.message.oneofDecl[choice].name}* | one of these | ${cell([...type.path, AT.oneofs, choice])} |`);
    }
    const name = `${choice === undefined ? '' : '&nbsp;&nbsp;&nbsp;'}\`${field.name}\``;
    rows.push(`| ${name} | ${typeOf(type, field)} | ${cell([...type.path, AT.fields, index])} |`);
  }
  return rows.length > 2 ? rows.join('\n') : 'No fields.';
}

function valuesOf(type) {
  const rows = type.enumeration.value.map((value, index) => `| \`${value.name}\` | ${cell([...type.path, AT.values, index])} |`);
  return ['| value | |', '|---|---|', ...rows].join('\n');
}

/** A type, and those that are declared in it: in GitHub's outline they stand at the same depth. */
function section(type, depth) {
  const body = type.message ? fields(type) : valuesOf(type);
  const own = [`${'#'.repeat(depth)} ${type.name}`, ...blocks(type.path), body];
  return [...own, ...type.inner.flatMap((inner) => section(inner, depth))];
}

const types = collect(file.messageType, file.enumType ?? [], '', [], { messages: AT.messages, enums: AT.enums });
const service = file.service[0];
for (const { name } of service.method) addAnchor(name);
register(types);
const allOf = (some) => some.flatMap((type) => [type, ...allOf(type.inner)]);
const values = new Set(allOf(types).flatMap((type) => (type.enumeration?.value ?? []).map((value) => value.name)));
/** `Limits` for `GetRunnerResponse.Limits`, where only one type has that name. */
const nested = new Map();
for (const name of [...anchors.keys()].filter((name) => name.includes('.'))) {
  const own = name.split('.').at(-1);
  nested.set(own, nested.has(own) ? undefined : name);
}
const byName = new Map(types.map((type) => [type.name, type]));
const methods = service.method.map((method, index) => {
  const path = [AT.services, 0, AT.methods, index];
  const [input, output] = [method.inputType, method.outputType].map((name) => byName.get(name.slice(PACKAGE.length + 2)));
  return { ...method, path, input, output };
});
const ofMethods = new Set(methods.flatMap(({ input, output }) => [input, output]));
const shared = types.filter((type) => !ofMethods.has(type));

const answers = ({ serverStreaming }) => (serverStreaming ? 'stream' : '');
const to = (type) => `[${type.name}](#${anchors.get(type.name)})`;
const signature = ({ input, output, serverStreaming }) =>
  `Asked with: ${to(input)}. Answers with: ${serverStreaming ? 'a stream of ' : ''}${to(output)}.`;

const page = [
  '<!-- Made from the contract by proto/check.sh --write. -->',
  '# API reference',
  ...paragraphs(header).slice(1).map(block),
  `This page is made from [the contract](${CONTRACT}), which any gRPC client can be made from. The service is \`${PACKAGE}.${service.name}\`; ` +
    `a call as JSON is \`POST /${PACKAGE}.${service.name}/<method>\`, with the names of fields as \`taskId\` or as \`task_id\`, durations as \`"30s"\`, ` +
    'timestamps in RFC 3339, bytes in base64 and 64-bit numbers as text. An empty field is left out.',
  '## Methods',
  ['| method | | |', '|---|---|---|', ...methods.map((method) =>
    `| [${method.name}](#${anchors.get(method.name)}) | ${answers(method)} | ${first(method.path)} |`)].join('\n'),
  ...methods.flatMap((method) => [
    `### ${method.name}`, ...blocks(method.path), signature(method), ...section(method.input, 4), ...section(method.output, 4),
  ]),
  '## Types',
  ['| type | |', '|---|---|', ...shared.map((type) => `| ${to(type)} | ${first(type.path)} |`)].join('\n'),
  ...shared.flatMap((type) => section(type, 3)),
].join('\n\n');

/** The first sentence. */
function first(path) {
  const [paragraph] = paragraphs(comments.get(String(path)));
  return prose(/^.*?\.(?= |$)/.exec(paragraph)?.[0] ?? paragraph);
}

process.stdout.write(`${page}\n`);
