CREATE TABLE `stacks` (
	`name` text PRIMARY KEY NOT NULL,
	`digest` text NOT NULL,
	`buildDigest` text,
	`announced` text NOT NULL,
	`title` text NOT NULL,
	`source` text NOT NULL,
	`sizeBytes` integer NOT NULL,
	`createdAt` integer NOT NULL,
	`updatedAt` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `slugs` ADD `stackDigest` text;