// What the modules of the call page hand each other.
import type { Switchboard } from '../sdk/switchboard.js';

export type Speak = (key: string, places?: Record<string, string | number>) => string;
export type Medium = 'voice' | 'video';

/** The page of somebody who is signed in. */
export interface Page {
  phone: Switchboard;
  me: string;
  lang: string;
  /** Whether the service lists its users for everybody. */
  directory: boolean;
  t: Speak;
  /** Fills in the words of what is new. */
  translate(root: ParentNode): void;
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
  status: string;
  lastSeen?: string | number | null;
  /** Once it is shown. */
  row?: HTMLLIElement;
}

export interface Standing {
  id: string;
  status: string;
  lastSeen?: string | number | null;
}
