// What the modules of the call page hand each other.
import type { Switchboard } from '../sdk/switchboard.js';

export type Speak = (key: string, places?: Record<string, string | number>) => string;
export type Medium = 'voice' | 'video';

/** The page of somebody who is signed in. */
export interface Page {
  phone: Switchboard;
  me: string;
  lang: string;
  t: Speak;
  /** Calls them, with the words about what comes of it. */
  dial(ids: string[], type: Medium): Promise<void>;
  /** Ids as a sentence names them. */
  names(ids: string[]): string;
}

export interface Person {
  id: string;
  name: string;
  /** Kept in this browser, not only seen in the history or the directory. */
  kept: boolean;
  row: HTMLLIElement;
}

export interface Standing {
  id: string;
  status: string;
  lastSeen?: string | number | null;
}
