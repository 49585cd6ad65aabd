// The changes of one job, told from two sides: read once from the first on, then added to as they are pushed.

import type { Job } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';

/** Changes that are kept: several times what a job with a hundred files has. Beyond it the oldest ones are let go. */
export const CHANGES_MAX = 500;

/** What a job's next known revision means for what was told of it. */
export type Offered = 'added' | 'known' | 'hole';

export class History {
  /** By revision, the earliest first. Where one does not follow the one before, the changes between are not known. */
  #changes: readonly Job[] = [];
  /** Reads on behind the last change that was read. Empty: read from the start. */
  resumeToken = '';

  get changes(): readonly Job[] {
    return this.#changes;
  }

  /** The revision up to which everything is told. */
  get told(): bigint {
    return this.#changes.at(-1)?.revision ?? 0n;
  }

  /** Adds the next revision. Behind a hole nothing is added: what is in it has to be read first. */
  offer(job: Job): Offered {
    if (job.revision <= this.told) return 'known';
    if (job.revision !== this.told + 1n) return 'hole';
    return this.#add(job);
  }

  /** Adds a revision though those before it are not to be had. */
  settle(job: Job): Offered {
    return job.revision <= this.told ? 'known' : this.#add(job);
  }

  #add(job: Job): 'added' {
    this.#changes = [...this.#changes, job].slice(-CHANGES_MAX);
    return 'added';
  }
}
