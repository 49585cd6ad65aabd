// Installs window.cometTask in the top frame of an allowed origin. Runs before any script of the page, once per
// document, and again after an adoption. Everything that it needs later is captured here: afterwards the page may
// have replaced any global or prototype. The token never enters an object, where a page's toJSON could meet it.
(function (token, origins, bindingName, resultBytesMax, messageBytesMax) {
  'use strict';
  const scope = globalThis;
  const send = scope[bindingName];
  // In every frame, so that no script holds the raw binding.
  delete scope[bindingName];
  if (typeof send !== 'function' || scope !== scope.top) return;
  let allowed = false;
  for (let i = 0; i < origins.length; i++) allowed ||= origins[i] === scope.origin;
  if (!allowed || Object.getOwnPropertyDescriptor(scope, 'cometTask')) return;

  const stringify = JSON.stringify;
  const toText = String;
  const toNumber = Number;
  const TypeError_ = TypeError;
  const RangeError_ = RangeError;
  const freeze = Object.freeze;
  const quotedToken = stringify(token);

  // Counts only as far as needed. Indexing a string primitive and comparing are beyond a page's reach.
  function bytesOf(text, max) {
    let bytes = 0;
    for (let i = 0; i < text.length && bytes <= max; i++) {
      const unit = text[i];
      bytes += unit < '\x80' ? 1 : unit < '\u0800' ? 2 : unit >= '\ud800' && unit <= '\udfff' ? 2 : 3;
    }
    return bytes;
  }

  // A message is prose: cut rather than refused, and lone surrogates, which are no text, are replaced.
  function proseOf(value) {
    const text = toText(value);
    let prose = '';
    let bytes = 0;
    for (let i = 0; i < text.length; i++) {
      let char = text[i];
      const next = i + 1 < text.length ? text[i + 1] : '';
      if (char >= '\ud800' && char <= '\udbff' && next >= '\udc00' && next <= '\udfff') {
        char += next;
        i++;
      } else if (char >= '\ud800' && char <= '\udfff') {
        char = '\ufffd';
      }
      bytes += char < '\x80' ? 1 : char < '\u0800' ? 2 : char.length === 2 ? 4 : 3;
      if (bytes > messageBytesMax) break;
      prose += char;
    }
    return prose;
  }

  function report(fields) {
    send('{"token":' + quotedToken + fields + '}');
  }

  function messageField(message) {
    return message === undefined ? '' : ',"message":' + stringify(proseOf(message));
  }

  function done(result) {
    if (result === undefined) return report(',"status":"DONE"');
    let text;
    try {
      text = stringify(result);
    } catch (cause) {
      throw new TypeError_('cometTask.done: the result cannot be written as JSON', { cause });
    }
    if (typeof text !== 'string') throw new TypeError_('cometTask.done: the result cannot be written as JSON');
    if (bytesOf(text, resultBytesMax) > resultBytesMax) {
      throw new RangeError_('cometTask.done: the result is longer than ' + resultBytesMax + ' bytes of JSON');
    }
    report(',"status":"DONE","result":' + stringify(text));
  }

  function fail(message) {
    report(',"status":"FAILED"' + messageField(message));
  }

  function progress(percent, message) {
    const number = toNumber(percent);
    if (!(number >= 0 && number <= 100)) {
      throw new RangeError_('cometTask.progress: the percentage is not between 0 and 100');
    }
    report(',"status":"RUNNING","progress":' + ((number + 0.5) | 0) + messageField(message));
  }

  const api = { __proto__: null, done: freeze(done), fail: freeze(fail), progress: freeze(progress) };
  Object.defineProperty(scope, 'cometTask', {
    __proto__: null, value: freeze(api), writable: false, configurable: false, enumerable: true,
  });
})
