CREATE TABLE `pushed_images` (
	`appId` text NOT NULL,
	`type` text NOT NULL,
	`image` text NOT NULL,
	`createdAt` integer NOT NULL,
	PRIMARY KEY(`appId`, `type`),
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
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
ALTER TABLE `slugs` ADD `stackDigest` text;--> statement-breakpoint
ALTER TABLE `slugs` ADD `images` text;