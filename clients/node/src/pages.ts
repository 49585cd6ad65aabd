// Lists that come page by page.

import type { Job, ListJobsResponse, Profile, ListProfilesResponse } from './gen/comet/taskrunner/v1/task_runner_pb.js';

/** A page of any list. */
type Page = ListJobsResponse | ListProfilesResponse;

/** Every page of a list, each asked for when the one before was read. */
export async function* pages<P extends Page>(page: (pageToken: string) => Promise<P>): AsyncGenerator<P, void, undefined> {
  let pageToken = '';
  do {
    const next = await page(pageToken);
    yield next;
    pageToken = next.nextPageToken;
  } while (pageToken !== '');
}

/** The jobs of a list, one by one. */
export class JobList implements AsyncIterable<Job> {
  /** Page by page. The `resumeToken` of the first lets `watchJobs` with the same filter go on without a gap. */
  readonly pages: () => AsyncGenerator<ListJobsResponse, void, undefined>;

  constructor(page: (pageToken: string) => Promise<ListJobsResponse>) {
    this.pages = () => pages(page);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Job, void, undefined> {
    for await (const { jobs } of this.pages()) yield* jobs;
  }
}

/** The profiles of a list, one by one. */
export async function* profilesOf(page: (pageToken: string) => Promise<ListProfilesResponse>): AsyncGenerator<Profile, void, undefined> {
  for await (const { profiles } of pages(page)) yield* profiles;
}
