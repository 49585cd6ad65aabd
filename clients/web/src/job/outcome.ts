// What a call gave, or why it gave nothing.

import { problemOf, type Problem } from '../problem.ts';

export type Outcome<T> = { answer: T; problem?: never } | { problem: Problem; answer?: never };

export async function outcomeOf<T>(call: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { answer: await call() };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}
