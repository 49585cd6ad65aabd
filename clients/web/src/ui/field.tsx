// One field of the form, with its name, a hint, and what is wrong with it.

import type { Draft, Field } from '../execute/fields.ts';
import type { GetRunnerResponse } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { visible } from '../text.ts';

interface Props { field: Field; value: string; fault: string; draft: Draft; runner: GetRunnerResponse | undefined; write: (text: string) => void }

export function FieldInput({ field, value, fault, draft, runner, write }: Props) {
  const id = field.name.replace('.', '-');
  const common = { id, value, 'aria-invalid': fault !== '', 'aria-describedby': `${id}-hint ${id}-problem` };
  const hint = <span id={`${id}-hint`} class="hint">{field.hint ?? ''}</span>;
  const problem = <span id={`${id}-problem`} class="problem" role="alert">{visible(fault)}</span>;
  switch (field.kind) {
    case 'flag':
      return (
        <div class="field flag">
          <label for={id}><input id={id} type="checkbox" checked={value !== ''} aria-describedby={`${id}-problem`} onInput={(event) => write(event.currentTarget.checked ? 'on' : '')} />{field.label}</label>
          {problem}
        </div>
      );
    case 'choice':
      return (
        <div class="field">
          <label for={id}>{field.label}</label>
          <select {...common} onInput={(event) => write(event.currentTarget.value)}>
            {field.choices(runner, draft).map(([choice, words]) => <option key={choice} value={choice}>{visible(words)}</option>)}
          </select>
          {hint}{problem}
        </div>
      );
    case 'lines':
      return (
        <div class="field">
          <label for={id}>{field.label}</label>
          <textarea {...common} rows={2} placeholder={field.placeholder ?? ''} spellcheck={false} onInput={(event) => write(event.currentTarget.value)} />
          {hint}{problem}
        </div>
      );
    case 'text':
      return (
        <div class={`field ${id === 'url' ? 'wide' : ''}`}>
          <label for={id}>{field.label}</label>
          <input {...common} type="text" inputMode={id === 'url' ? 'url' : 'text'} placeholder={field.placeholder ?? ''} autocomplete="off" spellcheck={false}
            onInput={(event) => write(event.currentTarget.value)} />
          {hint}{problem}
        </div>
      );
  }
}
